"""Findings that are known to be a framework's own: data, not exceptions in code.

`baselines/known_failures.json` lists backend, check, network, place, version range, reason and link. A known failure is
counted and does not fail the run; one that no longer shows is listed as stale.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec
from packaging.specifiers import SpecifierSet

from bench import files
from bench.baselines.samples import FOLDER, BaselineError
from bench.judging.finding import Finding
from bench.judging.verdict import FAILED, KNOWN, PASSED, Verdict

PATH = FOLDER / "known_failures.json"


class Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One known failure; `network` and `where` are shell patterns, `package` and `versions` the range it holds for.

    `most` is how far beyond its bound a number may lie to be explained, ten times what was seen where that is small: one that lies
    further off is another fault. NaN is explained only where `nan` says that it is what is known.
    """

    backend: str
    check: str
    network: str
    where: str
    package: str
    versions: str
    reason: str
    link: str
    most: float = math.inf
    nan: bool = False


def read(path: Path = PATH) -> list[Known]:
    """The list. Raises BaselineError for a malformed file."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Known])
    except FileNotFoundError:
        return []
    except (*files.NO_JSON, OSError) as error:
        raise BaselineError(f"{path} is not a valid list of known failures ({error}): restore it from version control.") from None


def apply(verdict: Verdict, known: list[Known], versions: dict[str, str]) -> dict[Known, str]:
    """Turn a failure into a known one where entries together cover all of it.

    Returns, for every entry that concerns this check and network in these versions, the status that it met: passed where others alone
    covered what was outside.
    """
    concerned = [
        entry
        for entry in known
        if verdict.check == entry.check
        and fnmatchcase(verdict.backend, entry.backend)
        and fnmatchcase(verdict.subject, entry.network)
        and versions.get(entry.package, "") in SpecifierSet(entry.versions, prereleases=True)
    ]
    outside = {f.where: f for f in verdict.findings if not f.within}
    covered = {entry: {where for where, finding in outside.items() if _explains(entry, finding)} for entry in concerned}
    if verdict.status != FAILED or outside.keys() != set().union(*covered.values()):
        return dict.fromkeys(concerned, verdict.status)
    verdict.status = KNOWN
    verdict.reason = "; ".join(dict.fromkeys(f"{entry.reason} ({entry.link})" for entry in concerned if covered[entry]))
    return {entry: KNOWN if covered[entry] else PASSED for entry in concerned}


def _explains(entry: Known, finding: Finding) -> bool:
    beyond = max(finding.low - finding.value, finding.value - finding.high)
    explained = entry.nan if math.isnan(finding.value) else beyond <= entry.most
    return fnmatchcase(finding.where, entry.where) and explained


def stale(concerned: Mapping[Known, list[str]]) -> list[Known]:
    """Entries whose cause no longer shows: every verdict that an entry of the same reason concerned has passed."""
    shows = {entry.reason for entry, statuses in concerned.items() if any(status != PASSED for status in statuses)}
    return [entry for entry, statuses in concerned.items() if statuses and entry.reason not in shows]
