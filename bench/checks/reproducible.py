"""The same bits every time."""

from __future__ import annotations

from collections.abc import Iterator

from bench.evidence.evidence import Evidence
from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.verdict import NotJudged


def reproducible(evidence: Evidence) -> Iterator[Finding]:
    """The same steps from the same weights give the same bits, where the framework promises it.

    Counts entries of loss, raw gradients and new weights that differ when the steps are taken again. Promised are one thread of a
    CPU, where nothing runs in an order of its own, and deterministic kernels anywhere (torch.use_deterministic_algorithms,
    tf.config.experimental.enable_op_determinism, --xla_gpu_deterministic_ops).
    """
    if not evidence.seen.repeated:
        raise NotJudged("the same bits every time are promised on one CPU thread, or with --deterministic")
    for seen in evidence.seen.repeated:
        place = Place.of(seen.name, step=seen.step, array=seen.array)
        yield Finding(place, seen.entries, 0.0, 0.0, "entries are other bits the second time")
