"""Two records side by side: environments, then every check, training, step time and memory that both have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from bench.compare import findings, samples, times
from bench.compare.change import (
    APPEARED,
    INCONCLUSIVE,
    NOT_COMPARABLE,
    VANISHED,
    WORSE,
    Change,
    Comparison,
)  # fmt: skip
from bench.exit_status import Status
from bench.judging.verdict import PASSED
from bench.report.record import Record

OPTIONS = ("cases", "data", "seeds")
"""Options that a run's environment does not hold already."""


class NothingShared(ValueError):
    """The runs have no backend in common; the message says how to pair them."""


def compare(old: Record, new: Record, pairs: list[tuple[str, str]] | None = None) -> Comparison:
    """What changed from `old` to `new`; `pairs` names (old, new) backends, by default those of the same name.

    Raises NothingShared when there is no pair.
    """
    pairs = pairs or _pairs(old, new)
    names = dict(pairs)
    changes: list[Change] = []
    changes += _matched(_keyed(old.verdicts, names, "subject", "check"), _keyed(new.verdicts, None, "subject", "check"), _verdict_only)
    both = _both(_keyed(old.profiles, names, "network"), _keyed(new.profiles, None, "network"))
    data = [str(run.options.get("data")) for run in (old, new)]
    changes += samples.compare(both, f"the old run trained on {data[0]} and the new one on {data[1]}" if data[0] != data[1] else "")
    modes = (lambda t: t.mode) if all(a == b for a, b in pairs) else (lambda t: "")
    changes += _matched(_keyed(old.timings, names, "network", modes), _keyed(new.timings, None, "network", modes), None)
    same_work = _work(old, names) == _work(new, None)
    for before, after in pairs:
        changes += times.memory(after, before, old, new, same_work)
    before, after = (f"{run.frameworks} ({run.started})" for run in (old, new))
    return Comparison(before, after, _differences(old, new, pairs), changes, _notes(changes, old, new))


def status(comparison: Comparison) -> Status:
    """The exit status that goes with a comparison."""
    verdicts = Counter(change.verdict for change in comparison.changes)
    if verdicts[WORSE]:
        return Status.WORSE
    if not sum(verdicts[v] for v in verdicts if v not in (APPEARED, VANISHED, NOT_COMPARABLE)):
        return Status.NOTHING
    return Status.INCONCLUSIVE if verdicts[INCONCLUSIVE] or verdicts[VANISHED] else Status.SAME


def _pairs(old: Record, new: Record) -> list[tuple[str, str]]:
    shared = [backend for backend in new.backends if backend in old.backends]
    if shared:
        return [(backend, backend) for backend in shared]
    if len(old.backends) == len(new.backends) == 1:
        return [(old.backends[0], new.backends[0])]
    lists = [", ".join(run.backends) or "none" for run in (old, new)]
    raise NothingShared(f"The old run has {lists[0]} and the new one {lists[1]}: name two with --backend=OLD:NEW.")


def _keyed(rows: list[Any], names: dict[str, str] | None, *parts: str | Callable[[Any], str]) -> dict[tuple[str, ...], Any]:
    """Rows by backend (by the new run's name for it) and `parts`; backends that are not compared are left out.

    Of rows with the same key the first counts: between two frameworks, that is the default way to run a step.
    """
    keyed: dict[tuple[str, ...], Any] = {}
    for row in rows:
        if names is None or row.backend in names:
            backend = row.backend if names is None else names[row.backend]
            keyed.setdefault((backend, *(part(row) if callable(part) else getattr(row, part) for part in parts)), row)
    return keyed


def _both(old: dict[Any, Any], new: dict[Any, Any]) -> list[tuple[Any, Any]]:
    return [(old[key], new[key]) for key in new if key in old]


def _verdict_only(row: Any) -> str:
    return row.check


def _matched(old: dict[Any, Any], new: dict[Any, Any], metric: Callable[[Any], str] | None) -> list[Change]:
    """Verdicts or timings: compared where both runs have them; a network or metric that one run has nothing of is one row."""
    changes: dict[Any, Change] = {}
    shared = [{key[place] for key in old} & {key[place] for key in new} for place in range(3)]
    for key in dict.fromkeys([*new, *old]):
        backend, network, what = key
        if backend not in shared[0]:
            continue
        if key in old and key in new:
            each = [findings.compare(old[key], new[key])] if metric else times.steps(old[key], new[key])
            changes |= {(key, change.metric): change for change in each}
            continue
        row: Any = new[key] if key in new else old[key]
        verdict, side = (APPEARED, "new") if key in new else (VANISHED, "old")
        what = metric(row) if metric else f"step time, {row.mode}"
        if network not in shared[1]:
            what = "every check" if metric else "every step time"
        elif key[2] not in shared[2]:
            network = "every network"
        changes[backend, network, what] = Change(verdict, backend, network, what, note=f"only the {side} run has this")
    return list(changes.values())


def _work(run: Record, names: dict[str, str] | None) -> set[Any]:
    rows = [(v.backend, v.subject, "") for v in run.verdicts] + [(t.backend, t.network, t.mode) for t in run.timings]
    return {((names or {}).get(backend, backend), *rest) for backend, *rest in rows}


def _differences(old: Record, new: Record, pairs: list[tuple[str, str]]) -> list[tuple[str, str, str]]:
    """(name, old, new) of everything that was not the same round the two runs."""
    sides = []
    for run, place in ((old, 0), (new, 1)):
        facts = dict(run.environment) | {name: str(run.options.get(name)) for name in OPTIONS}
        for pair in pairs:
            for package, version in run.versions.get(pair[place], {}).items():
                facts.setdefault(package, version)
        facts |= {"backend": ", ".join(pair[place] for pair in pairs)}
        sides.append(facts)
    before, after = sides
    return [(name, before.get(name, "—"), after.get(name, "—")) for name in {**before, **after} if before.get(name) != after.get(name)]


def _notes(changes: list[Change], old: Record, new: Record) -> list[str]:
    """What a reader must know of the comparison as a whole."""
    notes = []
    halves = [abs(c.numbers["high"] - c.numbers["low"]) / 2 for c in changes if c.metric == "accuracy" and "low" in c.numbers]
    if halves:
        seeds = [run.options.get("seeds") for run in (old, new)]
        notes.append(
            f"With {seeds[0]} and {seeds[1]} seeds, a change of accuracy of less than {sorted(halves)[len(halves) // 2]:.2g} does not show "
            "(median over networks); more --seeds see smaller ones."
        )
    if any(c.metric.startswith("step time") for c in changes):
        notes.append("Step times come from two separate runs, which resolve large factors only.")
    for side, run in (("old", old), ("new", new)):
        if run.errors:
            notes.append(
                f"Could not be judged at all in the {side} run: {len(run.errors)}, the first {run.errors[0].case}: {run.errors[0].message}"
            )
    broken = sum(v.status != PASSED and v.outside > 0 for v in new.verdicts)
    worse = sum(c.verdict == WORSE for c in changes)
    if broken and not worse:
        notes.append(f"{broken} checks of the new run are outside their bounds as they were in the old one.")
    return notes
