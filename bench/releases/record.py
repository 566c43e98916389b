"""What releases did, as it is committed: `baselines/NAME_releases.json`, one line a case. The page beside it is drawn from it."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
from filelock import FileLock
from msgspec.structs import replace

from bench import files
from bench.baselines.samples import FOLDER as BASELINES
from bench.releases.examine import Examined
from bench.releases.line import Line

SCHEMA = 1
NOT_EXAMINED = Examined(why_not="it was not examined yet.")


class RecordError(ValueError):
    """A record that cannot be read; the message is one sentence with the remedy."""


class File(msgspec.Struct, forbid_unknown_fields=True):
    """The record of a line, on a CPU."""

    schema: int
    line: str
    releases: dict[str, Examined]


def path_of(line: Line, folder: Path = BASELINES) -> Path:
    """The file of a line."""
    return folder / f"{line.name}_releases.json"


def read(line: Line, cases: list[str], folder: Path = BASELINES) -> dict[str, Examined]:
    """What is recorded of these cases in each of the line's releases, which is NOT_EXAMINED where nothing is. Raises RecordError."""
    found = _read(line, folder).releases
    return {release: _of(found.get(release, NOT_EXAMINED), cases) for release in line.releases}


def merge(line: Line, results: dict[str, Examined], folder: Path = BASELINES) -> Path:
    """Put results of the line's releases and cases into the record, in the place of older ones, and return its path.

    A release that ran beside other packages than before is recorded anew, and refused where some of its cases would be lost by that.
    One that could not be examined replaces nothing. Raises RecordError and WriteError.
    """
    path = path_of(line, files.folder(folder))
    with FileLock(f"{path}.lock"):
        releases = _read(line, folder).releases
        for release, examined in results.items():
            old = releases.get(release, NOT_EXAMINED)
            if examined.why_not and old.cases:
                continue
            same = old.cases if _published(old) == _published(examined) else {}
            if lost := set(old.cases) & set(line.cases) - set(examined.cases) - set(same):
                raise RecordError(
                    f"{line.named(release)} was recorded beside {_beside(old)} and ran beside {_beside(examined)} now, so that what is "
                    f"recorded of {len(lost)} other cases would be lost: examine all cases, without --only."
                )
            releases[release] = _of(replace(examined, cases=same | examined.cases), line.cases)
        _write(path, File(SCHEMA, line.name, {release: releases[release] for release in line.releases if release in releases}))
    return path


def _published(examined: Examined) -> dict[str, str]:
    """Versions as they were published: builds for a CPU and for GPUs are of one release."""
    return {name: version.partition("+")[0] for name, version in examined.versions.items() if " built for " not in name}


def _beside(examined: Examined) -> str:
    return ", ".join(f"{name} {version}" for name, version in _published(examined).items())


def _of(examined: Examined, cases: list[str]) -> Examined:
    return replace(examined, cases={case: examined.cases[case] for case in cases if case in examined.cases})


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
