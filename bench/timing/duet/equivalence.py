"""Before anything is timed: both sides compute the same, judged by the checks that judge every network.

Each side's loss and gradients must equal the float64 reference's on the same drawn weights and batch, within what rounding allows;
two sides within rounding of one reference are the same. That every timed step then leads to the reference's weights is proved again
in each restart (`bench.timing.steps.check_same`), because modes are built there.
"""

from functools import partial

from bench.baselines import known_failures
from bench.checks import CHECKS
from bench.evidence.collect import Request, at_once, collect
from bench.evidence.excuses import excuse
from bench.evidence.reference import ReferenceResult
from bench.judging.verdict import FAILED, judge
from bench.report import texts
from bench.timing.duet.rounds import Pair
from bench.timing.duet.sides import DuetCase
from bench.timing.steps import NotTheSameError
from fixtures.data.datasets import Data
from models.worker.devices import kind

PROOFS = ("forward_parity", "gradient_parity")
NEEDS = frozenset().union(*(CHECKS[name].needs for name in PROOFS))


def prove(pair: Pair, case: DuetCase, data: Data, reference: ReferenceResult) -> None:
    """Raises NotTheSameError with side, place and size where a side's loss or gradients are not the reference's; WorkerError."""
    proved = set()
    for number, variant in enumerate((case.a, case.b)):
        if (variant.interpreter, variant.backend) in proved:
            continue
        proved.add((variant.interpreter, variant.backend))
        request = Request(reference.spec, variant.backend, data, NEEDS, device=kind(variant.device), reference=reference)
        evidence = collect(request, at_once(partial(pair.ask, number)))
        for name in PROOFS:
            verdict = judge(CHECKS[name], evidence)
            excuse(verdict, CHECKS[name], evidence, known_failures.read())
            if verdict.status == FAILED and verdict.worst:
                worst = verdict.worst
                raise NotTheSameError(
                    f"{case.id} is not timed: side {'AB'[number]} ({variant.side.text}) does not compute what the network is; {name} "
                    f"has {texts.number(worst.value)} at {worst.where}, where {texts.allowed(worst)} is rounding."
                )
