"""Training over several seeds, against the samples recorded before."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench.baselines import samples as baselines
from bench.baselines.interval import interval, judges, scale_of
from bench.baselines.metrics import metrics
from bench.evidence import divergence
from bench.evidence.evidence import Evidence
from bench.judging.finding import SCALES, Finding
from bench.judging.place import Place
from bench.judging.verdict import NoBaseline, NotJudged, RestNotJudged


def training(evidence: Evidence) -> Iterator[Finding]:
    """Accuracy, loss and gradient norms over training lie in the interval that recorded seeds predict.

    The mean over this run's seeds of each metric, on the metric's own scale (`bench.baselines.interval`); a metric that one side
    lacks fails. A metric whose recorded seeds spread too far to judge by (`bench.baselines.interval.judges`) is counted as not judged.
    """
    divergence.refuse(divergence.of_themselves(evidence))
    seen = metrics(evidence.seen.trainings, evidence.spec.arch.depth)
    network = f"{evidence.data}/{evidence.network}"
    if evidence.baseline is None or evidence.baseline.content is None:
        raise NoBaseline("no recording for this backend and device")
    recorded = baselines.of_network(evidence.baseline.content, network)
    if not recorded:
        raise NoBaseline(f"{network} was never recorded")
    if set(recorded) != set(seen):
        raise AssertionError(f"metrics {sorted(set(recorded) ^ set(seen))} are recorded or seen, but not both")
    wide, judged = set[str](), False
    for metric, values in seen.items():
        low, high = interval(metric, recorded[metric], len(values), baselines.widened(evidence.baseline))
        scale = SCALES[scale_of(metric)]
        with np.errstate(divide="ignore", invalid="ignore"):  # a loss of zero or NaN falls outside any interval by itself
            value = float(scale.backward(scale.forward(np.asarray(values)).mean()))
        then = recorded[metric]
        note = f"seeds gave {', '.join(f'{v:.4g}' for v in values)}; recorded {np.mean(then):.4g} ± {np.std(then, ddof=1):.2g}"
        finding = Finding(Place(metric), value, low, high, note, scale_of(metric))
        if finding.within and not judges(metric, low, high, evidence.spec.classes):
            wide.add(metric.partition(" ")[0])
            continue
        judged = True
        yield finding
    if wide:
        reason = f"{', '.join(sorted(wide))} not judged, because recorded seeds spread too far; more --seeds narrow the interval"
        raise (RestNotJudged if judged else NotJudged)(reason)
