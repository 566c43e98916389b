"""What releases did, as it is committed: `baselines/NAME_releases.json`, one line a case. The page beside it is drawn from it."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
from filelock import FileLock
from packaging.version import Version

from bench import files
from bench.baselines.samples import FOLDER as BASELINES
from bench.releases.examine import Examined, Outside, Seen
from bench.releases.line import Line

SCHEMA = 1


class RecordError(ValueError):
    """A record that cannot be read; the message is one sentence with the remedy."""


class Case(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What one release did with one case, places with their numbers, the worst first, and the code's digest where it was recorded."""

    word: str
    code: str = ""
    numbers: str = ""
    outside: list[tuple[str, str]] = []


class Release(msgspec.Struct, forbid_unknown_fields=True):
    """One release: the versions it ran with, and what it did by case; or why it could not be examined."""

    versions: dict[str, str] = {}
    why_not: str = ""
    cases: dict[str, Case] = {}


class File(msgspec.Struct, forbid_unknown_fields=True):
    """The record of a line, on a CPU."""

    schema: int
    line: str
    releases: dict[str, Release]


def path_of(line: Line, folder: Path = BASELINES) -> Path:
    """The file of a line."""
    return folder / f"{line.name}_releases.json"


def read(line: Line, cases: list[str], folder: Path = BASELINES) -> dict[str, Examined]:
    """What is recorded of these cases in the line's releases, the oldest first; empty where nothing is. Raises RecordError."""
    return {
        release: Examined(
            found.versions,
            {case: _seen(found.cases[case]) for case in cases if case in found.cases},
            found.why_not,
            {case: found.cases[case].code for case in cases if case in found.cases},
        )
        for release, found in _read(line, folder).releases.items()
        if release in line.releases
    }


def merge(line: Line, results: dict[str, Examined], folder: Path = BASELINES) -> Path:
    """Put results into the record, in the place of older ones of the same cases, and return its path. Raises RecordError and WriteError.

    A release that ran beside other packages than before is recorded anew. One that could not be examined replaces nothing.
    """
    path = path_of(line, files.folder(folder))
    with FileLock(f"{path}.lock"):
        releases = _read(line, folder).releases
        for release, examined in results.items():
            old = releases.get(release, Release())
            if examined.why_not:
                releases[release] = old if old.cases else Release(why_not=examined.why_not)
                continue
            before = old.cases if old.versions == examined.versions else {}
            seen = {case: _case(each, examined.codes[case]) for case, each in examined.cases.items()}
            order = [case for case in line.cases if case in before or case in seen]
            releases[release] = Release(examined.versions, "", {case: seen.get(case) or before[case] for case in order})
        _write(path, File(SCHEMA, line.name, {release: releases[release] for release in sorted(releases, key=Version)}))
    return path


def _read(line: Line, folder: Path) -> File:
    path = path_of(line, folder)
    try:
        found = msgspec.json.decode(path.read_bytes(), type=File)
    except FileNotFoundError:
        return File(SCHEMA, line.name, {})
    except (*files.NO_JSON, OSError) as error:
        raise RecordError(f"{path} is not a valid record ({error}): restore it from version control, or delete it.") from None
    if (found.schema, found.line) != (SCHEMA, line.name):
        raise RecordError(f"{path} is no record of {line.name} in schema {SCHEMA}: restore it from version control, or delete it.")
    return found


def _seen(case: Case) -> Seen:
    return Seen(case.word, case.numbers, tuple(Outside(where, text) for where, text in case.outside))


def _case(seen: Seen, code: str) -> Case:
    return Case(seen.word, code, seen.numbers, [(each.where, each.text) for each in seen.outside])


def _write(path: Path, content: File) -> None:
    """One case a line, so that a recording can be reviewed as a diff."""
    lines = ["{", f' "schema": {content.schema},', f' "line": {json.dumps(content.line)},', ' "releases": {']
    for place, (release, each) in enumerate(content.releases.items()):
        lines += [f"  {json.dumps(release)}: {{", f'   "versions": {_text(each.versions)},', f'   "why_not": {_text(each.why_not)},']
        cases = [f"    {_text(case)}: {_text(msgspec.to_builtins(found))}" for case, found in each.cases.items()]
        lines += ['   "cases": {', ",\n".join(cases), "   }", "  }" + "," * (place < len(content.releases) - 1)]
    files.write(path, "\n".join([*filter(None, lines), " }", "}", ""]))


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
