"""Releases × cases as a table, what changed between neighbours, and where each case is outside in which releases."""

import itertools
from collections import Counter
from collections.abc import Mapping

from bench.baselines.known_failures import KnownFailure, mended, of_place
from bench.exit_status import Status
from bench.judging.verdict import PASSED
from bench.releases.examine import GONE, MARKS, NOT_RUN, RAISES, Examined, Seen
from bench.releases.line import NAMES, Line, parted
from bench.report import text_table

FEW = 3
"""Places of one case that are named where the same releases break them for the same reason."""
Results = Mapping[str, Examined]


def table(results: Results) -> list[str]:
    """A row a case that does not hold in every release, a column a release, in Markdown."""
    judged = _judged(results)
    rows = [[f"`{case}`", *(examined.word(case) for examined in judged.values())] for case in _uneven(judged)]
    return text_table.markdown([["case", *judged], *rows])


def healthy(results: Results) -> str:
    """The cases that hold in every release, in a sentence; empty where there are none."""
    judged = _judged(results)
    names = [case for case in _cases(judged) if all(examined.word(case) == MARKS[PASSED] for examined in judged.values())]
    return f"These hold in every release ({len(names)}): {', '.join(f'`{name}`' for name in names)}." if names else ""


def later(results: Results, line: Line) -> str:
    """The line's cases outside the table that some release was not asked yet, with those releases, in a sentence; empty for none."""
    judged = _judged(results)
    shown = set(_uneven(judged))
    lacking = {case: [name for name, examined in judged.items() if case not in examined.cases] for case in line.cases if case not in shown}
    names = [f"`{case}`{_only(releases, list(judged))}" for case, releases in lacking.items() if releases]
    return f"Not run yet ({len(names)}): {', '.join(names)}." if names else ""


def judges(results: Results) -> str:
    """Which code judged which release, in a sentence: digests of what was imported, with cases that other code judged than the most."""
    by_code: dict[str, list[str]] = {}
    for release, examined in _judged(results).items():
        counts = Counter(seen.code for seen in examined.cases.values() if seen.code)
        for code, count in counts.most_common():
            cases = [f"`{case}`" for case, seen in examined.cases.items() if seen.code == code]
            by_code.setdefault(code, []).append(release + f" ({', '.join(cases)})" * (count < max(counts.values())))
    named = "; ".join(f"{code} judged {', '.join(releases)}" for code, releases in by_code.items())
    more = " What a law looks at may have grown from one to the next." * (len(by_code) > 1)
    return f"Digests of the code, as `bench/imported.py` takes them: {named}.{more}" if named else ""


def changes(results: Results) -> list[str]:
    """What each release broke and mended that its left neighbour in the table did not."""
    lines = []
    for (old, before), (new, after) in itertools.pairwise(_judged(results).items()):
        both = [name for name in after.cases if name in before.cases]
        holds = {name: [seen.word == MARKS[PASSED] for seen in (before.cases[name], after.cases[name])] for name in both}
        named = {
            verb: ", ".join(f"`{name}`" for name, state in holds.items() if state == as_named) or "nothing"
            for verb, as_named in (("breaks", [True, False]), ("mends", [False, True]))
        }
        lines.append(f"- {old} → {new} breaks {named['breaks']}; mends {named['mends']}.")
    return lines


def places(results: Results, line: Line, known: list[KnownFailure]) -> list[str]:
    """Where each case is outside, in which releases, and what is known of it; an item a cause, in Markdown."""
    judged = _judged(results)
    lines = []
    for case in _uneven(judged):
        groups: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for where, seen_in in _by_place({release: e.cases[case] for release, e in judged.items() if case in e.cases}).items():
            told = _known(case, where, seen_in, judged, line, known)
            groups.setdefault((_ranges(list(seen_in), list(judged)), told), []).append((where, next(reversed(seen_in.values()))))
        for (releases, told), found in groups.items():
            named = "; ".join(f"{where}: {text}" if where else text for where, text in found[:FEW])
            more = f"; and {len(found) - FEW} more" if len(found) > FEW else ""
            lines.append(f"- `{case}` {releases}: {named}{more}.{told}")
    return lines


def page(results: Results, line: Line, known: list[KnownFailure]) -> str:
    """The table, what changed between neighbours and where, in Markdown."""
    sets: dict[str, list[str]] = {}
    for release, examined in _judged(results).items():
        beside = " and ".join(
            f"{name} {version}" for name, version in examined.versions.items() if name != line.package and " " not in name
        )
        sets.setdefault(beside, []).append(release)
    beside = "; ".join(f"{', '.join(releases)}{f' on {versions}' * bool(versions)}" for versions, releases in sets.items())
    missing = [
        f"{line.named(release)} is not in the table: {examined.why_not}" for release, examined in results.items() if examined.why_not
    ]
    recorded = [sentence for sentence in (healthy(results), later(results, line), judges(results)) if sentence]
    command = f"python -m bench releases --of={line.name} --write"
    return "\n".join([
        f"# Which {NAMES[line.package]} release breaks what{' (' + line.title + ')' if line.title != NAMES[line.package] else ''}", "",
        f"Written by `{command}`: {NAMES[line.package]} {beside}; CPU, float32. · holds, BREAKS does not, – could not be",
        f"judged, {GONE}: the release does not have it, {RAISES}: it stops with an error. Equalities have their laws in",
        "`bench/metamorphic/`; a network alone stands for gradient parity with the float64 reference.", "",
        *table(results), "", "\n\n".join([*recorded, *missing]), "",
        "## What changed", "", *changes(results), "", "## Where, and what is known of it", "", *places(results, line, known), "",
    ])  # fmt: skip


def status(results: Results) -> Status:
    """What is said of upgrading from the first release to the last, and of the last one alone."""
    first, last = (list(_judged(results).values())[place].cases for place in (0, -1))
    broken = [case for case, seen in last.items() if seen.broken]
    if len(_judged(results)) > 1 and any(case in first and not first[case].broken for case in broken):
        return Status.WORSE
    judged = any(seen.broken or seen.word == MARKS[PASSED] for seen in last.values())
    return Status.FAILING if broken else Status.SAME if judged else Status.NOTHING


def _judged(results: Results) -> dict[str, Examined]:
    return {release: examined for release, examined in results.items() if not examined.why_not}


def _uneven(judged: Results) -> list[str]:
    """Cases that do not hold everywhere where they were run."""
    return [case for case in _cases(judged) if any(e.word(case) not in (MARKS[PASSED], NOT_RUN) for e in judged.values())]


def _cases(judged: Results) -> list[str]:
    """Every case that some release was asked, in the order of the release that was asked the most."""
    most = max(judged.values(), key=lambda examined: len(examined.cases)).cases
    return list(dict.fromkeys([*most, *(case for examined in judged.values() for case in examined.cases)]))


def _only(some: list[str], releases: list[str]) -> str:
    return "" if some == releases else f" in {_ranges(some, releases)}"


def _by_place(seen: Mapping[str, Seen]) -> dict[str, dict[str, str]]:
    """By place, in the order of the table: the releases in which it is outside, with its numbers; no place where there are only words."""
    found: dict[str, dict[str, str]] = {}
    for release, one in seen.items():
        for where, text in [(each.where, each.text) for each in one.outside] or [("", f"{one.word}, {one.numbers}")] * (
            one.word != MARKS[PASSED]
        ):
            found.setdefault(where, {})[release] = text
    return found


def _known(case: str, where: str, seen_in: Mapping[str, str], judged: Results, line: Line, known: list[KnownFailure]) -> str:
    """What is known of a place in the newest release that shows it, with the release that mended it."""
    check, network = parted(case)
    entry = of_place(known, line.backend, check if network else "equality", network or case, where, judged[list(seen_in)[-1]].versions)
    return f" Known{mended(entry)}: {entry.reason} ({entry.link})." if entry else ""


def _ranges(some: list[str], releases: list[str]) -> str:
    """Releases as ranges of neighbours: `3.0.1 … 3.6.0, 3.13.2`."""
    places = [releases.index(release) for release in some]
    runs = [[place for _, place in run] for _, run in itertools.groupby(enumerate(places), lambda each: each[1] - each[0])]
    return ", ".join(releases[run[0]] if len(run) == 1 else f"{releases[run[0]]} … {releases[run[-1]]}" for run in runs)
