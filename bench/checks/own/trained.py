"""Trainings of a user's own model over several seeds, against the samples recorded before."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench.baselines.own import metrics
from bench.baselines.pairs import Recorded
from bench.evidence.own import OwnEvidence
from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.verdict import NoBaseline, NotApplicable, NotJudged


def training(evidence: OwnEvidence) -> Iterator[Finding]:
    """Steps, losses, gradient norms and the user's metric over training are, seed by seed, those that were recorded.

    As for networks of the matrix: a seed by itself, and the mean of all seeds (`bench.baselines.pairs`). Recorded is each seed from its own
    start and from one unit in the last place away. A metric that one side lacks fails.
    """
    trained = evidence.training
    if trained is None:
        raise NotApplicable("data and an optimizer to train with")
    then = trained.recording
    if then is None:
        raise NoBaseline(f"{trained.path.name} has no recording of it")
    seen = [history for history in trained.histories if history.seed in then.seeds]
    if not seen:
        raise NotJudged("none of these seeds was recorded: leave out --fresh-seeds")
    for history in seen:
        steps = len(history.losses)
        note = f"{then.steps} steps were recorded: batches are lost or new"
        yield Finding(Place("steps", scope=f"seed {history.seed}"), steps, then.steps, then.steps, "" if steps == then.steps else note)
    places, now = [then.seeds.index(history.seed) for history in seen], metrics(seen)
    for name in dict.fromkeys((*then.samples, *now)):
        if name not in then.samples or name not in now:
            if name in then.samples or name == "accuracy":
                note = (
                    f"{'was recorded and is not' if name in then.samples else 'is and was not recorded'}: if the model changed, record anew"
                )
                yield Finding(Place(name), int(name in now), int(name in then.samples), int(name in then.samples), note)
            continue  # a gradient that was zero for some seed was not recorded
        each = Recorded(name, np.array(then.samples[name]), trained.widening)
        for place, value in zip(places, now[name], strict=True):
            said = f"recorded {', '.join(f'{v:.4g}' for v in each.values[place])}"
            yield Finding(Place(name, scope=f"seed {then.seeds[place]}"), value, *each.of_seed(place), said, each.scale)
        pairs = "; ".join(f"{then.seeds[p]}: {each.centre([p]):.4g} → {value:.4g}" for p, value in zip(places, now[name], strict=True))
        yield Finding(Place(name), each.mean(now[name]), *each.of_mean(places), f"recorded → seen by seed {pairs}", each.scale)
