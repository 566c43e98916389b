"""Two records side by side: environments, then every check, training, step time and memory that either has."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from typing import TypeVar

from bench.compare import findings, samples, times
from bench.compare.change import APPEARED, INCONCLUSIVE, VANISHED, WORSE, Change, Comparison
from bench.exit_status import Status
from bench.judging.verdict import PASSED
from bench.report.record import Record

OPTIONS = ("cases", "data", "seeds")
"""Options that a run's environment does not hold already."""
EVERY_SUBJECT = "every network"
Thing = TypeVar("Thing")
Key = tuple[str, str, str]
"""The new run's name for a backend, the subject, and which of its metrics."""


class NothingShared(ValueError):
    """The runs have no backend in common; the message says how to pair them."""


def compare(old: Record, new: Record, pairs: list[tuple[str, str]] | None = None) -> Comparison:
    """What changed from `old` to `new`; `pairs` names (old, new) backends, by default those of the same name.

    Raises NothingShared when there is no pair.
    """
    chosen = pairs or _pairs(old, new)
    names, same = dict(chosen), {after: after for _, after in chosen}
    twins = all(before == after for before, after in chosen)
    changes = [] if pairs else list(_backends(old, new, names))
    sides = (old, names), (new, same)
    judged = [_keyed(((v.backend, v.subject, v.check, v) for v in run.verdicts), known) for run, known in sides]
    name = "place" if old.structured and new.structured else "where"  # a record of schema 2 has its places as text
    changes += _matched(judged[0], judged[1], "check", lambda one, other: [findings.compared(one, other, attrgetter(name))])
    changes += _trained(old, new, names)
    timed = [_keyed(((t.backend, t.network, t.mode if twins else "", t) for t in run.timings), known) for run, known in sides]
    changes += _matched(timed[0], timed[1], "step time", times.steps)
    same_work = _work(old, names) == _work(new, same)
    for before, after in chosen if twins else ():  # another framework is other code, whose size says nothing of this one's
        changes += times.memory(after, before, old, new, same_work)
    titles = [f"{run.frameworks} ({run.started})" for run in (old, new)]
    failed = new.exit_status != 0
    return Comparison(titles[0], titles[1], _differences(old, new, chosen), changes, _notes(changes, old, new), failed)


def status(comparison: Comparison) -> Status:
    """The exit status that goes with a comparison. Less judged is never fine, and worse where the new run failed."""
    verdicts = Counter(change.verdict for change in comparison.changes)
    if verdicts[WORSE] or (verdicts[VANISHED] and comparison.failed):
        return Status.WORSE
    if not comparison.compared:
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


def _backends(old: Record, new: Record, names: dict[str, str]) -> Iterator[Change]:
    """Backends that one run alone has."""
    for backend in old.backends:
        if backend not in names:
            yield Change(VANISHED, backend, EVERY_SUBJECT, "every metric", note="only the old run has this backend")
    for backend in new.backends:
        if backend not in names.values():
            yield Change(APPEARED, backend, EVERY_SUBJECT, "every metric", note="only the new run has this backend")


def _keyed(rows: Iterable[tuple[str, str, str, Thing]], names: dict[str, str]) -> dict[Key, Thing]:
    """Rows of the backends that are compared, by the new run's name for each.

    Of rows with the same key the first counts: between two frameworks, that is the default way to run a step.
    """
    keyed: dict[Key, Thing] = {}
    for backend, subject, metric, row in rows:
        if backend in names:
            keyed.setdefault((names[backend], subject, metric), row)
    return keyed


def _matched(old: dict[Key, Thing], new: dict[Key, Thing], kind: str, each: Callable[[Thing, Thing], list[Change]]) -> list[Change]:
    """Verdicts or timings: compared where both runs have them; what one run has nothing of is one row."""
    changes = [change for key in new if key in old for change in each(old[key], new[key])]
    found: dict[Key, Change] = {}
    for verdict, here, there, side in ((APPEARED, new, old, "new"), (VANISHED, old, new, "old")):
        for key in (key for key in here if key not in there):
            backend, subject, metric = key
            theirs = [other for other in there if other[0] == backend]
            what, where = (metric, "") if kind == "check" else (kind, metric)
            whole = subject not in {other[1] for other in theirs}
            if whole:
                what, where = f"every {kind}", ""
            if not theirs or (not whole and metric not in {other[2] for other in theirs}):
                subject = EVERY_SUBJECT
            change = Change(verdict, backend, subject, what, where, note=f"only the {side} run has this")
            found[backend, subject, change.name] = change
    return [*changes, *found.values()]


def _trained(old: Record, new: Record, names: dict[str, str]) -> list[Change]:
    """Samples of every network that both runs trained, and a row for each that one run alone did."""
    before = {(names[p.backend], p.network): p for p in old.profiles if p.samples and p.backend in names}
    after = {(p.backend, p.network): p for p in new.profiles if p.samples and p.backend in names.values()}
    data = [str(run.options.get("data")) for run in (old, new)]
    why_not = f"the old run trained on {data[0]} and the new one on {data[1]}" if data[0] != data[1] else ""
    changes = samples.compare([(before[key], after[key]) for key in after if key in before], why_not)
    for key in [*(key for key in before if key not in after), *(key for key in after if key not in before)]:
        verdict, side = (VANISHED, "old") if key in before else (APPEARED, "new")
        changes.append(Change(verdict, *key, "training samples", note=f"only the {side} run has this"))
    return changes


def _work(run: Record, names: dict[str, str]) -> set[Key]:
    rows = [(v.backend, v.subject, "") for v in run.verdicts] + [(t.backend, t.network, t.mode) for t in run.timings]
    return {(names[backend], subject, mode) for backend, subject, mode in rows if backend in names}


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
    if any(c.metric == "step time" for c in changes):
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
