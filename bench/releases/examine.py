"""One release examined: a worker of that release runs every case, and what was seen is kept."""

import re
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from packaging.version import Version

from bench import imported
from bench.checks import CHECKS
from bench.evidence.collect import Request, collect
from bench.judging.finding import Finding
from bench.judging.verdict import FAILED, NOT_APPLICABLE, NOT_JUDGED, PASSED, Verdict, judge
from bench.metamorphic import EQUALITIES, decide
from bench.metamorphic.parts import SEEDS
from bench.metamorphic.scenarios import Scenarios
from bench.progress import say
from bench.releases.line import Line, parted
from bench.report import texts
from bench.store import Store
from bench.versions.environments import build, installed
from bench.versions.requirements import VersionsError
from fixtures.data.datasets import load
from models.spec import Spec
from models.worker.devices import kind
from models.worker.process import Worker, WorkerError, WorkerLacks

FOLDER, FILE = Path(".gradgauge/releases"), "results.jsonl"
MARKS = {PASSED: "·", FAILED: "BREAKS", NOT_JUDGED: "–"}
NOT_RUN = "not run"
GONE, RAISES = "lacks", "raises"
"""What a release does not have: a part or an option. Where the way itself fails, the release raises."""
UNKNOWN = re.compile(
    r"unexpected keyword argument|Argument\(s\) not recognized|Unrecognized keyword arguments|no attribute|cannot import name"
    r"|Could not interpret \w+( function)? identifier|Invalid value for argument `reduction`"
)
"""How frameworks say that they do not know an option or a name."""
MOST = 60
"""Places kept of one case."""


class Outside(NamedTuple):
    """One number outside its bound: where, and the number with its bound in words."""

    where: str
    text: str


class Seen(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one release did with one case: a word for the table, the worst number behind it, and where it is outside, the worst first.

    `code` is the digest of the code that saw it, where that was kept.
    """

    word: str
    numbers: str = ""
    outside: tuple[Outside, ...] = ()
    code: str = ""

    @property
    def broken(self) -> bool:
        """Whether the case was judged and does not hold."""
        return self.word not in (MARKS[PASSED], MARKS[NOT_JUDGED])


class Examined(msgspec.Struct, forbid_unknown_fields=True):
    """What one release did: the versions it ran with, by case what was seen, or why it could not be examined."""

    versions: dict[str, str] = {}
    why_not: str = ""
    cases: dict[str, Seen] = {}

    def word(self, case: str) -> str:
        """What the table says of a case."""
        return self.cases[case].word if case in self.cases else NOT_RUN


def examine(line: Line, release: str, cases: list[str], folder: Path = FOLDER, *, fresh: bool = False, device: str = "cpu") -> Examined:
    """Run `cases` on one release, in one process that is replaced when it dies; what was seen before is not run again.

    Raises VersionsError where the release cannot be had, WorkerError where it does not start, WriteError.
    """
    code = imported.digest((__name__, "models.worker.server"), (installed(), sys.version))
    versions, results = Store(folder / FILE, dict[str, str], code), Store(folder / FILE, Seen, code)
    wanted, own = line.wanted(release, device), _own(line, release, device)
    missing = [case for case in cases if fresh or f"{own} {case}" not in results]
    if missing or own not in versions:
        interpreter = build(wanted, folder)
        start = lambda: Worker(line.backend, device=device, python=interpreter.python, path=interpreter.path)  # noqa: E731
        workers = [start()]
        scenarios = Scenarios(line.backend, _ask(workers, start))
        try:
            ran_with = versions.keep(own, workers[0].call("versions", dict[str, str]))
            if Version(ran_with[line.package]).public != Version(release).public:
                raise VersionsError(
                    f"{ran_with[line.package]} was imported from {interpreter.path or interpreter.python}: delete that folder."
                )
            for case in missing:
                if not workers[-1].alive:
                    workers.append(start())
                seen = msgspec.structs.replace(_seen(case, scenarios, workers[-1], kind(device)), code=code)
                say(f"{line.named(release)}  {case:<36} {results.keep(f'{own} {case}', seen).word}")
        finally:
            for worker in workers:
                worker.close()
    return Examined(versions[own], cases={case: results[f"{own} {case}"] for case in cases})


def _own(line: Line, release: str, device: str) -> str:
    """How cells of a release begin."""
    return " ".join([line.wanted(release, device).text, line.backend, *[device] * (device != "cpu")])


def _ask(workers: list[Worker], start: Callable[[], Worker]) -> Callable[[str, dict[str, Any]], Any]:
    """Asks the last worker; what is to be drawn in a process that has done nothing else is drawn in another one."""

    def ask(scenario: str, given: dict[str, Any]) -> Any:
        if "process" in given:
            with closing(start()) as fresh:
                return fresh.call("scenario", scenario="seeded", **{"with": {"seeds": SEEDS}})
        return workers[-1].call("scenario", scenario=scenario, **{"with": given})

    return ask


def _seen(case: str, scenarios: Scenarios, worker: Worker, device: str = "cpu") -> Seen:
    try:
        verdict = decide(case, scenarios) if case in EQUALITIES else _of_network(case, worker, scenarios.backend, device)
    except WorkerError as error:
        lacks = isinstance(error, WorkerLacks) or UNKNOWN.search(str(error))
        return Seen(GONE if lacks else RAISES, str(error).partition("\n")[0])
    if verdict.status == NOT_APPLICABLE:
        return Seen(GONE, verdict.reason)
    outside = sorted((f for f in verdict.findings if not f.within), key=lambda f: -f.exceedance)
    judged = [f for f in outside if not UNKNOWN.search(f.note)]
    word = GONE if outside and not judged else MARKS[verdict.status]
    told = tuple(Outside(f.where, _text(f)) for f in judged or outside)
    return Seen(word, f"{told[0].where}: {told[0].text}" if told else verdict.reason, told[:MOST])


def _text(finding: Finding) -> str:
    note = finding.note.partition("\n")[0]
    return f"{texts.number(finding.value)} for {texts.allowed(finding)} {note}".strip()


def _of_network(case: str, worker: Worker, backend: str, device: str) -> Verdict:
    """One check of one network; the loss that train_on_batch reports has an equality of its own."""
    check, network = parted(case)
    needs = CHECKS[check].needs
    return judge(CHECKS[check], collect(Request(Spec.parse(network), backend, load(), needs, device=device), worker.submit))
