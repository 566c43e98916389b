"""How a run's record lies in its file: schema 3, older ones that were released, and the JSON Schema that says so.

A record that is kept is compressed (`run-….json.xz`, a tenth of its JSON), so that a thousand of them are half a gigabyte; the last one
lies beside it as it is (`latest.json`). Either is read. Reading validates types and executes nothing. Findings are short rows that name
their place by its number in `places`, because the same few thousand places come back in every network.
`python -m bench schema > bench/report/record.schema.json` writes the schema.
"""

from __future__ import annotations

import argparse
import inspect
import json
import lzma
import math
import os
import sys
from pathlib import Path
from typing import Any, Literal

import msgspec

from bench import files
from bench.baselines.metrics import scale_at
from bench.judging.finding import Cause, Finding
from bench.judging.place import Place
from bench.judging.verdict import Excuse, Verdict
from bench.report import schema_2
from bench.report.record import Header, Record, RecordError
from bench.report.texts import Number, rounded

SCHEMA, OLDEST = 3, 2
KIND: Literal["gradgauge run"] = "gradgauge run"
ENDINGS = (".json", ".json.xz")
"""Of the records that are kept: compressed, or as they were kept before."""
MAGIC = b"\xfd7zXZ\x00"
"""What a compressed file begins with (The .xz File Format 1.2.1, section 2.1.1.1)."""
LARGEST, UNPACKING = 512 << 20, 128 << 20
"""Bytes that a record may unpack to, and memory for unpacking; a whole `full` matrix writes less than a quarter of either."""
EXACT = 17
"""Significant digits that hold any double (IEEE 754-2008, table 5.2)."""
DIGITS = 3
"""Significant digits of a finding's numbers, beside those that cancel in the width of its interval."""
ON_A_SCALE = "training"
"""The check whose findings are baseline metrics, each with a scale of its own."""


class Row(msgspec.Struct, array_like=True, frozen=True):
    """A finding: the number of its place, the value, the bounds, what an outlier looks like, and what is said after the place."""

    place: int
    value: Number
    low: Number
    high: Number
    note: str = ""
    remark: str = ""


class VerdictRow(msgspec.Struct, kw_only=True):
    """A verdict whose places are numbers. What must be one number and is (the zeros of `finite`) is counted and has no row."""

    check: str
    against: str
    law: str
    backend: str
    subject: str
    status: str
    reason: str = ""
    judged: int = 0
    outside: int = 0
    headroom: Number = 1.0
    tightest: int | None = None
    rerun: str = ""
    causes: list[Cause] = []
    findings: list[Row] = []
    excuses: list[Excuse] = []


class File(Header, kw_only=True):
    """A record as it lies in its file."""

    schema: int
    kind: Literal["gradgauge run"]
    places: list[Place]
    verdicts: list[VerdictRow]


def write(folder: Path, record: Record) -> Path:
    """Write `run-<time>-<process>.json.xz`, and the same as `latest.json`; returns the first. Raises WriteError if the folder refuses."""
    text = encode(record)
    path = folder / f"run-{record.started.replace(':', '')}-{os.getpid()}.json.xz"
    files.write(path, lzma.compress(text))
    files.write(folder / "latest.json", text)
    return path


def read(path: Path) -> Record:
    """A run's record, of this schema or of an older one that was released. Raises RecordError."""
    try:
        raw = msgspec.json.decode(_text(path))
    except OSError as error:
        raise RecordError(
            f"{path} cannot be read ({error.strerror}): name the JSON record of a run, such as .gradgauge/latest.json."
        ) from None
    except (*files.NO_JSON, lzma.LZMAError, EOFError) as error:
        raise RecordError(f"{path} is not JSON, or was cut off ({error}): run again, or fetch the file again.") from None
    if not isinstance(raw, dict) or raw.get("kind") != KIND:
        raise RecordError(f"{path} is JSON, but not the record of a run: name one that pytest wrote, such as .gradgauge/latest.json.")
    schema = raw.get("schema")
    if schema == 1:
        raise RecordError(f"{path} has schema 1, which was never released: judge that version again with this suite.")
    if not isinstance(schema, int) or not OLDEST <= schema <= SCHEMA:
        raise RecordError(
            f"{path} has schema {schema} and this suite reads {OLDEST} to {SCHEMA}: update the suite, or run again with this one."
        )
    try:
        return _record(msgspec.convert(schema_2.upgraded(raw) if schema == 2 else raw, type=File), path.name, structured=schema > 2)
    except (msgspec.MsgspecError, TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise RecordError(
            f"{path} is a run's record with a part missing or changed ({error}): run again, or fetch the file again."
        ) from None


def newest(folder: Path) -> Path:
    """The record of the run that began last, as its name says; `latest.json` where nothing else is kept. Raises RecordError."""
    kept = sorted(path for path in folder.glob("run-*") if path.name.endswith(ENDINGS)) or sorted(folder.glob("latest.json"))
    if not kept:
        raise RecordError(f"{folder} holds no record of a run: name a folder in which pytest wrote one, such as .gradgauge.")
    return kept[-1]


def encode(record: Record) -> bytes:
    """The record as JSON."""
    places: dict[Place, int] = {}
    verdicts = [_row(verdict, places) for verdict in record.verdicts]
    return msgspec.json.encode(File(schema=SCHEMA, kind=KIND, places=list(places), verdicts=verdicts, **_header(record)))


def json_schema() -> str:
    """The JSON Schema of a record."""
    schema = msgspec.json.schema(File)
    # Versions of Python and msgspec differ in how much of a docstring's indentation they keep.
    for definition in schema["$defs"].values():
        if description := definition.get("description"):
            definition["description"] = inspect.cleandoc(description)
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def _text(path: Path) -> bytes:
    """A record's JSON. Raises RecordError for one that would unpack to more than any run writes."""
    content = path.read_bytes()
    if not content.startswith(MAGIC):
        return content
    unpacking = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=UNPACKING)
    text = unpacking.decompress(content, max_length=LARGEST)
    if not unpacking.eof and not unpacking.needs_input:
        raise RecordError(f"{path} unpacks to more than {LARGEST >> 20} MB, which no run writes: fetch the file again.")
    if not unpacking.eof:
        raise EOFError("the compressed file ends early")
    return text


def _header(source: Header) -> dict[str, Any]:  # the fields' own types, which no dictionary can have
    return {name: getattr(source, name) for name in Header.__struct_fields__}


def _row(verdict: Verdict, places: dict[Place, int]) -> VerdictRow:
    def number_of(place: Place) -> int:
        return places.setdefault(place, len(places))

    rows = [
        Row(number_of(f.place), *_kept(f), "" if f.within else f.note, f.remark)
        for f in verdict.findings
        if not (f.low == f.high and f.within)
    ]
    return VerdictRow(
        check=verdict.check, against=verdict.against, law=verdict.law, backend=verdict.backend, subject=verdict.subject,
        status=verdict.status, reason=verdict.reason, judged=verdict.judged, outside=verdict.outside, rerun=verdict.rerun,
        headroom=rounded(verdict.headroom), tightest=number_of(verdict.tightest) if verdict.tightest else None,
        causes=list(verdict.causes), findings=rows, excuses=verdict.excuses,
    )  # fmt: skip


def _kept(finding: Finding) -> tuple[Number, Number, Number]:
    """Value and bounds with so few digits that the finding stays on its side of them, and its headroom what it was to two hundredths."""
    numbers = finding.value, finding.low, finding.high
    width, size = finding.high - finding.low, max(abs(finding.low), abs(finding.high))
    cancelled = 0 if finding.one_sided or not 0 < width < size else -math.floor(math.log10(width / size))
    for digits in (min(DIGITS + cancelled, EXACT), EXACT):
        value, low, high = (rounded(number, digits) for number in numbers)
        if (float(low) <= float(value) <= float(high)) == finding.within:
            break
    return value, low, high


def _record(file: File, name: str, structured: bool) -> Record:
    return Record(verdicts=[_verdict(row, file.places) for row in file.verdicts], name=name, structured=structured, **_header(file))


def _verdict(row: VerdictRow, places: list[Place]) -> Verdict:
    def place_of(number: int) -> Place:
        if number < 0:
            raise IndexError(f"there is no place {number}")
        return places[number]

    causes = tuple(row.causes)
    findings = []
    for each in row.findings:
        place = place_of(each.place)
        scale = scale_at(place.quantity, place.scope) if row.check == ON_A_SCALE else "linear"
        findings.append(Finding(place, float(each.value), float(each.low), float(each.high), each.note, scale, each.remark, causes))
    return Verdict(
        row.check, row.against, row.law, row.backend, row.subject, row.status, row.reason, row.judged, row.outside,
        float(row.headroom), place_of(row.tightest) if row.tightest is not None else None, row.rerun, findings, row.excuses,
    )  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Print the schema."""
    parser = argparse.ArgumentParser(prog="python -m bench schema", description="Print the JSON Schema of a run's record.")
    parser.parse_args(arguments)
    sys.stdout.write(json_schema())
    return 0


if __name__ == "__main__":
    sys.exit(main())
