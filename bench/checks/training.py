"""Training over several seeds, against the samples recorded before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from bench.baselines import samples as baselines
from bench.baselines.interval import interval, judges, scale_of
from bench.baselines.metrics import FRESH, metrics
from bench.baselines.pairs import LOOKS, Recorded, mean
from bench.evidence import divergence
from bench.evidence.evidence import Evidence
from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.verdict import NoBaseline, NotJudged, RestNotJudged
from models.observation import History

SHOWN = 9
"""How many pairs a note lists."""


def training(evidence: Evidence) -> Iterator[Finding]:
    """Accuracy, losses and gradient norms over training are, seed by seed, those that were recorded.

    A recorded seed is judged by its own samples, by itself and in the mean over all such seeds (`bench.baselines.pairs`). Where the first
    seeds leave it open, more of them are trained. A fresh seed is judged, in the mean, by what recorded seeds predict
    (`bench.baselines.interval`). A metric that one side lacks fails. One whose samples lie too far apart to judge by is not judged.
    """
    divergence.refuse(divergence.of_themselves(evidence))
    recorded, seeds = _recorded(evidence)
    usual = _trained(evidence, recorded, seeds)
    paired = [history for history in usual if history.seed in seeds and all(each.paired for each in recorded.values())]
    fresh = [history for history in usual if history.seed not in {each.seed for each in paired}]
    wide = judged = False
    for finding in (*_of_pairs(evidence, recorded, seeds, paired), *_of_fresh(evidence, recorded, fresh)):
        if finding.within and not judges(finding.place.quantity, finding.low, finding.high, evidence.spec.classes):
            wide = True
            continue
        judged = True
        yield finding
    if wide:
        raise (RestNotJudged if judged else NotJudged)(
            "recorded samples of some metrics lie too far apart to judge by: more --seeds narrow the means over seeds, and no single one"
        )


def _recorded(evidence: Evidence) -> tuple[dict[str, Recorded], list[int]]:
    """What was recorded of the network, by metric, and with which seeds. Raises NoBaseline."""
    network = f"{evidence.data}/{evidence.network}"
    if evidence.baseline is None or evidence.baseline.content is None:
        raise NoBaseline("no recording for this backend and device")
    found = baselines.of_network(evidence.baseline.content, network)
    if not found:
        raise NoBaseline(f"{network} was never recorded")
    widening = baselines.widened(evidence.baseline)
    seeds = evidence.baseline.content.seeds[: min(map(len, found.values()))]
    return {metric: Recorded(metric, values, widening) for metric, values in found.items()}, seeds


def _trained(evidence: Evidence, recorded: Mapping[str, Recorded], seeds: Sequence[int]) -> list[History]:
    """The run's trainings, and more of recorded seeds as long as those before leave something open."""
    histories = list(evidence.seen.trainings)
    for number in LOOKS:
        known = [history for history in histories if history.seed in seeds]
        missing = [seed for seed in seeds[:number] if seed not in [history.seed for history in known]]
        if not known or not missing or evidence.more is None:
            continue
        seen, places = _metrics(evidence, known), [seeds.index(history.seed) for history in known]
        if all(each.repeats(places, seen.get(metric, [])) for metric, each in recorded.items()):
            break  # bit for bit what was recorded leaves nothing open
        if any(metric in seen and each.open(places, seen[metric]) for metric, each in recorded.items() if each.paired):
            more = evidence.more(missing)
            divergence.refuse(divergence.of_themselves(replace(evidence, seen=replace(evidence.seen, trainings=more))))
            histories += more
    return histories


def _metrics(evidence: Evidence, histories: Sequence[History]) -> dict[str, list[float]]:
    return metrics(histories, evidence.held_out[1], evidence.spec.arch.depth)


def _of_pairs(
    evidence: Evidence, recorded: Mapping[str, Recorded], seeds: Sequence[int], histories: Sequence[History]
) -> Iterator[Finding]:
    """Each recorded seed of the run beside its own samples, and the mean of all that were trained."""
    places, own = [seeds.index(history.seed) for history in histories], {history.seed for history in evidence.seen.trainings}
    for metric, values in _same(recorded, _metrics(evidence, histories)) if histories else ():
        each = recorded[metric]
        for place, value in zip(places, values, strict=True):
            if seeds[place] not in own:
                continue  # trained to decide the mean: whether it was depends on chance, and what is judged does not
            note = f"executions recorded {', '.join(f'{v:.4g}' for v in each.values[place])}"
            yield Finding(Place(metric, scope=f"seed {seeds[place]}"), value, *each.of_seed(place), note, each.scale)
        pairs = [f"{seeds[p]}: {each.centre([p]):.4g} → {value:.4g}" for p, value in zip(places, values, strict=True)]
        more = f" and {len(pairs) - SHOWN} more" if len(pairs) > SHOWN else ""
        note = f"recorded → seen by seed {'; '.join(pairs[:SHOWN])}{more}; together {each.centre(places):.4g} → {each.mean(values):.4g}"
        yield Finding(Place(metric), each.mean(values), *each.of_mean(places), note, each.scale)


def _of_fresh(evidence: Evidence, recorded: Mapping[str, Recorded], histories: Sequence[History]) -> Iterator[Finding]:
    """The mean over fresh seeds beside what recorded ones predict."""
    for metric, values in _same(recorded, _metrics(evidence, histories)) if histories else ():
        then = recorded[metric]
        low, high = interval(metric, list(then.values[:, 0]), len(values), then.widening)
        given = ", ".join(f"{v:.4g}" for v in values)
        note = f"fresh seeds gave {given}; recorded {then.centre(range(len(then.values))):.4g} ± {then.values[:, 0].std(ddof=1):.2g}"
        yield Finding(Place(metric, scope=FRESH), mean(scale_of(metric), values), low, high, note, scale_of(metric))


def _same(recorded: Mapping[str, Recorded], seen: dict[str, list[float]]) -> list[tuple[str, list[float]]]:
    """Metrics that were seen. Raises AssertionError for one that was recorded or seen, but not both."""
    if set(recorded) != set(seen):
        raise AssertionError(f"metrics {sorted(set(recorded) ^ set(seen))} are recorded or seen, but not both")
    return list(seen.items())
