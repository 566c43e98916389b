"""Before anything is timed: both sides compute the same, judged by the checks that judge every network.

Each side's loss and gradients must equal the float64 reference's on the same drawn weights and batch, within what rounding allows;
two sides within rounding of one reference are the same. That every timed step then leads to the reference's weights is proved again
in each restart (`bench.timing.steps.check_same`), because modes are built there.
"""

from __future__ import annotations

from bench.baselines import known_failures
from bench.checks import CHECKS
from bench.evidence.evidence import Evidence
from bench.evidence.reference import ReferenceResult, solve
from bench.judging.verdict import FAILED, judge
from bench.timing.duet.rounds import Pair
from bench.timing.duet.sides import DuetCase
from bench.timing.steps import NotTheSameError
from fixtures.data.datasets import Data
from models.observation import Job, Observation
from models.reference.draws import prepare_forced_steps
from models.spec import Spec

PROOFS = ("forward_parity", "gradient_parity")


def forced_steps(spec: Spec, data: Data) -> ReferenceResult:
    """What both sides are asked, and the reference's answer."""
    return solve(spec, prepare_forced_steps(spec, data.x_train, data.y_train, 0))


def prove(pair: Pair, case: DuetCase, asked: ReferenceResult) -> None:
    """Raises NotTheSameError with side, place and size where a side's loss or gradients are not the reference's; WorkerError."""
    proved = set()
    for number, lane in enumerate((case.a, case.b)):
        if (lane.interpreter, lane.backend) in proved:
            continue
        proved.add((lane.interpreter, lane.backend))
        job = Job(lane.backend, case.spec, device=lane.device, forced_steps=asked.forced_steps)
        run = Evidence(case.spec.id, case.spec, lane.backend, pair.ask(number, "observe", Observation, job=job), asked)
        for name in PROOFS:
            verdict = judge(CHECKS[name], run)
            known_failures.apply(verdict, known_failures.read(), run.seen.versions)
            if verdict.status == FAILED and verdict.worst:
                worst = verdict.worst
                raise NotTheSameError(
                    f"{case.id} is not timed: side {'AB'[number]} ({lane.side.text}) does not compute what the network is; {name} "
                    f"has {worst.value:.2g} at {worst.where}, where ≤ {worst.high:.2g} is rounding."
                )
