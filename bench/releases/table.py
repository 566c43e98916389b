"""Releases × cases as a table, what changed between neighbours, and the numbers behind every word."""

import itertools

from bench.exit_status import Status
from bench.judging.verdict import PASSED
from bench.releases.examine import GONE, MARKS, Examined
from bench.report import text_table


def table(results: dict[str, Examined]) -> list[str]:
    """A row a case, a column a release, in Markdown."""
    cases = next(iter(results.values())).cases
    rows = [[f"`{case}`", *(examined.cases[case].word for examined in results.values())] for case in cases]
    return text_table.markdown([["case", *results], *rows])


def changes(results: dict[str, Examined]) -> list[str]:
    """What each release broke and mended that its left neighbour in the table did not."""
    lines = []
    for (old, before), (new, after) in itertools.pairwise(results.items()):
        healthy = {name: [seen.word == MARKS[PASSED] for seen in (before.cases[name], after.cases[name])] for name in after.cases}
        named = {
            verb: ", ".join(f"`{name}`" for name, state in healthy.items() if state == as_named) or "nothing"
            for verb, as_named in (("breaks", [True, False]), ("mends", [False, True]))
        }
        lines.append(f"- {old} → {new} breaks {named['breaks']}; mends {named['mends']}.")
    return lines


def numbers(results: dict[str, Examined]) -> list[str]:
    """What is behind every word of the table that is not a pass."""
    return [
        f"{release:<8}{case:<26} {seen.word:<7}{seen.numbers}"
        for release, examined in results.items()
        for case, seen in examined.cases.items()
        if seen.word != MARKS[PASSED]
    ]


def page(results: dict[str, Examined]) -> str:
    """The table, what changed between neighbours and the numbers behind it, in Markdown."""
    sets: dict[str, list[str]] = {}
    for release, examined in results.items():
        beside = " and ".join(f"{name} {version}" for name, version in examined.versions.items() if name != "keras")
        sets.setdefault(beside, []).append(release)
    beside = "; ".join(f"{', '.join(releases)} on {versions}" for versions, releases in sets.items())
    return "\n".join([
        "# Which Keras release breaks what", "",
        f"Written by `python -m bench.releases --write`: Keras {beside}; CPU, float32. · holds, BREAKS does not, – could not be judged,",
        f"{GONE}: the release does not have it. Equalities have their laws in `bench/metamorphic/`; a network stands for gradient",
        "parity with the float64 reference.", "",
        *table(results), "", *changes(results), "", "```text", *numbers(results), "```", "",
    ])  # fmt: skip


def status(results: dict[str, Examined]) -> Status:
    """What is said of upgrading from the first release to the last, and of the last one alone."""
    first, last = (list(results.values())[place].cases for place in (0, -1))
    broken = [case for case, seen in last.items() if seen.broken]
    if len(results) > 1 and any(not first[case].broken for case in broken):
        return Status.WORSE
    judged = any(seen.broken or seen.word == MARKS[PASSED] for seen in last.values())
    return Status.FAILING if broken else Status.SAME if judged else Status.NOTHING
