"""What training ended in: trained networks in evaluation mode, on samples they were not trained on.

Two healthy trainings part after some steps, because one unit that rounds to the other side of its kink is enough; so accuracies can
only be compared as samples (`bench.checks.training`). What the trained weights make of a sample does not have this freedom.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench.checks.parity import refuse_noise, signature
from bench.evidence import divergence
from bench.evidence.evidence import Evidence
from bench.evidence.reference import rms_error, roundings
from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.tolerance import ROUNDING_MULTIPLE
from models.arrays import Labels, Logits, PerSample, Statistics
from models.observation import Evaluated
from models.reference.network import Reference


def evaluation(evidence: Evidence) -> Iterator[Finding]:
    """Held-out logits and accuracy are those of the trained weights in float64, to rounding.

    For every seed ‖z − z*‖ / ‖z*‖ over all held-out logits z (samples × classes), z* being the reference's with the weights and running
    statistics that training ended with, and for the first seed with the average of weights as well. As in `bench.checks.parity`, the
    error to expect is the rms of the reference's float32 passes, each summing in another order, and at least one rounding: a single
    pass may be nearer by luck, above all where layers have one unit and nothing is summed. Then the share of samples by which
    accuracies differ. Two logits of a sample come at most √2·‖z − z*‖ closer to each other, so that only samples whose label leads or
    trails by less may count otherwise. The accuracy is the framework's own, a multiple of one sample: half of one is the rounding of
    its mean.
    """
    diverged = divergence.of_themselves(evidence)
    for number, history in enumerate(evidence.seen.trainings):
        if history.seed in diverged:
            continue
        assert history.logits is not None, "the training was asked for no held-out samples"
        last = Evaluated(history.weights, history.logits, history.accuracy)
        yield from _judged(evidence, f"seed {history.seed}", last, history.running)
        if number == 0 and history.averaged is not None:  # the same code evaluates every seed's
            yield from _judged(evidence, f"seed {history.seed}, averaged weights", history.averaged, history.running)
    divergence.refuse(diverged)


def _judged(evidence: Evidence, scope: str, seen: Evaluated, running: Statistics) -> Iterator[Finding]:
    """Logits and accuracy of these weights."""
    x, labels = evidence.held_out
    exact = Reference(evidence.spec, seen.weights).forward(x, running or None).logits
    rounded = [each.forward(x, running or None).logits for each in roundings(evidence.spec, seen.weights)]
    size = float(np.linalg.norm(exact)) or 1.0
    rounding = max(rms_error(exact, rounded) / size, evidence.once)
    if np.isfinite(size):  # weights that are not finite, where the reference's are, are the framework's doing
        refuse_noise(evidence, rounding)
    allowed, error = ROUNDING_MULTIPLE * rounding * evidence.resolution, float(np.linalg.norm(seen.logits - exact)) / size
    yield Finding(Place("logits", scope=scope), error, 0.0, allowed, signature(seen.logits, exact, "value"))
    lead = _lead(exact, labels)
    close, wrong = np.abs(lead) <= 2**0.5 * allowed * size, abs(seen.accuracy - float((lead > 0).mean()))
    note = f"{seen.accuracy:.4f} for {(lead > 0).mean():.4f} of {len(labels)} samples"
    yield Finding(Place("accuracy", scope=scope), wrong, 0.0, float(close.mean() + 0.5 / len(labels)), note)


def _lead(logits: Logits, labels: Labels) -> PerSample:
    """By how much each sample's label leads the best of the other classes."""
    rows = np.arange(len(labels))
    others = logits.copy()
    others[rows, labels] = -np.inf
    return logits[rows, labels] - others.max(axis=1)
