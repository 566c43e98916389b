"""Findings that are known to be a framework's own: data, not exceptions in code.

`baselines/known_failures.json` lists backend, check, network, place, version range, size, reason and link. A known failure is
counted and does not fail the run. What lies further off than its size is red, and one that no longer shows is listed as stale.
Where the reference can share a fault, that is its size: what a network is judged by again, with the fault written out, is exact however
far the network amplifies it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from bench import files
from bench.baselines.samples import FOLDER, BaselineError
from bench.judging.finding import Finding
from bench.judging.verdict import FAILED, KNOWN, PASSED, Excuse, Verdict

PATH = FOLDER / "known_failures.json"
Text = Annotated[str, Meta(min_length=1)]
WILD = "*?[]!- 0123456789"
"""Characters of a pattern that name nothing."""
ANYWHERE = ("", "step", "layer")
"""What is left of a pattern that fits every place or every network."""


class KnownFailure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One known failure; `network` and `where` are shell patterns, `package` and `versions` the range it holds for.

    `most` is how far beyond its bound a number may lie to be explained, ten times what was seen where that is small. `shared` names instead
    the fault that a reference can share (`bench.evidence.evidence.Evidence.sharing`), beside which the number must lie within its bound.
    NaN is explained only where `nan` says that it is what is known. A pattern that fits every network needs a place, and the other way
    round.
    `machines` names those that show it, where not all do: elsewhere its absence says nothing.
    """

    backend: Text
    check: Annotated[str, Meta(pattern=r"^[a-z_0-9]+$")]
    network: Text
    where: Text
    package: Text
    versions: Text
    reason: Annotated[str, Meta(pattern=r"\w")]
    link: Annotated[str, Meta(pattern=r"^https?://\S+$")]
    most: Annotated[float, Meta(gt=0)] | None = None
    nan: bool = False
    shared: Literal["", "activation", "penalty", "identity"] = ""
    machines: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError where the size, the breadth or the versions are no limit."""
        if not (self.nan or self.shared) and not (self.most is not None and math.isfinite(self.most)):
            raise ValueError(f"{self.check} of {self.network} has no size: say in `most` how far beyond its bound a number may lie")
        if self.shared and (self.nan or self.most is not None):
            raise ValueError(f"{self.check} of {self.network} has two sizes: leave out `most` and `nan`, or `shared`")
        if _names_nothing(self.backend):
            raise ValueError(f"`backend` {self.backend!r} is every backend: name one")
        if _names_nothing(self.network) and _names_nothing(self.where):
            raise ValueError(f"{self.check} is excused on every network in every place: name a part of the network or the place")
        _range(self.versions)


def _names_nothing(pattern: str) -> bool:
    return "".join(c for c in pattern if c not in WILD) in ANYWHERE


@cache
def _range(versions: str) -> SpecifierSet:
    try:
        return SpecifierSet(versions, prereleases=True)
    except InvalidSpecifier:
        raise ValueError(f"`versions` {versions!r} is no range of versions, such as >=3.0,<3.15") from None


def read(path: Path = PATH) -> list[KnownFailure]:
    """The list. Raises BaselineError for a malformed file."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[KnownFailure])
    except FileNotFoundError:
        return []
    except (*files.NO_JSON, OSError) as error:
        raise BaselineError(f"{path} is not a valid list of known failures ({error}): restore it from version control.") from None


Again = Callable[[frozenset[str]], list[Finding]]
"""What a check finds beside a reference that shares these faults."""


def apply(verdict: Verdict, known: list[KnownFailure], versions: dict[str, str], again: Again | None = None) -> dict[KnownFailure, str]:
    """Turn a failure into a known one where entries together cover all of it; the verdict then says what each excused.

    Entries of `shared` faults cover what lies within its bound when the check is judged `again`; what is left of a number there may be
    others' size. A failure at a known place that lies further off than is known stays one, and its reason says so. Returns, for every
    entry that concerns a place of this verdict in these versions, the status that it met: passed where others alone covered what was
    outside.
    """
    concerned = [
        entry
        for entry in known
        if verdict.check == entry.check
        and fnmatchcase(verdict.backend, entry.backend)
        and fnmatchcase(verdict.subject, entry.network)
        and versions.get(entry.package, "") in _range(entry.versions)
        and (not verdict.findings or any(fnmatchcase(finding.where, entry.where) for finding in verdict.findings))
    ]
    outside = {f.where: f for f in verdict.findings if not f.within}
    faults = frozenset(entry.shared for entry in concerned if entry.shared)
    left = {finding.where: finding for finding in again(faults)} if again and faults and verdict.status == FAILED else {}
    covered = {entry: {where for where, finding in outside.items() if _explains(entry, finding, left.get(where))} for entry in concerned}
    if verdict.status != FAILED or outside.keys() != set().union(*covered.values()):
        if verdict.status == FAILED:
            unexplained = [finding for where, finding in outside.items() if not any(where in each for each in covered.values())]
            verdict.reason = _too_far(concerned, unexplained) or verdict.reason
        return dict.fromkeys(concerned, verdict.status)
    verdict.status = KNOWN
    verdict.excuses = [_excuse(entry, [outside[where] for where in covered[entry]]) for entry in concerned if covered[entry]]
    verdict.reason = "; ".join(dict.fromkeys(excuse.reason for excuse in verdict.excuses))
    return {entry: KNOWN if covered[entry] else PASSED for entry in concerned}


def of_place(
    known: list[KnownFailure], backend: str, check: str, subject: str, where: str, versions: Mapping[str, str]
) -> KnownFailure | None:
    """The first entry that speaks of a place in these versions, whatever the size seen there."""
    fits = (
        entry
        for entry in known
        if entry.check == check
        and fnmatchcase(backend, entry.backend)
        and fnmatchcase(subject, entry.network)
        and fnmatchcase(where, entry.where)
        and versions.get(entry.package, "") in _range(entry.versions)
    )
    return next(fits, None)


def mended(entry: KnownFailure) -> str:
    """`, mended in 3.10.0` where the entry's range of versions ends, and nothing where it is open."""
    ends = [part.version for part in _range(entry.versions) if part.operator == "<"]
    return f", mended in {entry.package} {ends[0]}" if ends else ""


def _beyond(finding: Finding) -> float:
    return max(finding.low - finding.value, finding.value - finding.high)


def _explains(entry: KnownFailure, finding: Finding, left: Finding | None) -> bool:
    """Whether an entry explains a number, of which that is `left` which was found beside a reference with shared faults."""
    if not fnmatchcase(finding.where, entry.where):
        return False
    if entry.shared:
        return left is not None and left.within
    numbers = [finding] if left is None else [finding, left]
    return any(entry.nan if math.isnan(each.value) else _beyond(each) <= (entry.most or 0.0) for each in numbers)


def _excuse(entry: KnownFailure, findings: list[Finding]) -> Excuse:
    beyond = max((_beyond(f) for f in findings if not math.isnan(f.value)), default=0.0)
    return Excuse(f"{entry.reason} ({entry.link}){mended(entry)}", len(findings), beyond, entry.most or 0.0)


def _too_far(entries: list[KnownFailure], unexplained: list[Finding]) -> str:
    """What is known at the places of these findings, whose size they exceed."""
    known = {
        f"further off than {_size(entry)}: {entry.reason} ({entry.link})": None
        for entry in entries
        if (entry.most or entry.shared) and any(fnmatchcase(f.where, entry.where) and not math.isnan(f.value) for f in unexplained)
    }
    return "; ".join(known)


def _size(entry: KnownFailure) -> str:
    return f"the {entry.most:.2g} that are known" if entry.most else "a reference that shares what is known"


def stale(concerned: Mapping[KnownFailure, list[str]]) -> list[KnownFailure]:
    """Entries whose cause no longer shows anywhere: every verdict that an entry of the same reason concerned has passed."""
    shows = {entry.reason for entry, statuses in concerned.items() if any(status != PASSED for status in statuses)}
    return [entry for entry, statuses in concerned.items() if statuses and entry.reason not in shows and not entry.machines]
