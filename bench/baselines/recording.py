"""From a run's training to a new baseline: what is kept while it runs, and what is written at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np

from bench.baselines import samples as baselines
from bench.baselines import validation
from bench.baselines.executions import EXECUTIONS, USUAL
from bench.baselines.metrics import is_share, metrics
from bench.baselines.samples import Baseline, BaselineError
from models.arrays import Labels
from models.observation import History

LEFT_OUT = ("suite", "device")
"""Of the environment: the commit is that of the file itself, and the device its name."""


def keep(baseline: Baseline, data: str, network: str, histories: Sequence[History], labels: Labels, depth: int) -> None:
    """Note the metrics of a network's trainings for the recording. Raises BaselineError for what nothing may be judged by.

    `histories` are of every seed in every execution, and `labels` those of the held-out samples.
    """
    executions: dict[str, list[History]] = {}
    for history in histories:
        executions.setdefault(history.execution, []).append(history)
    columns = [metrics(sorted(each, key=lambda history: history.seed), labels, depth) for each in executions.values()]
    seen = {name: np.array([column[name] for column in columns]).T for name in columns[0]}
    bad = [name for name, values in seen.items() if not np.isfinite(values).all() or (not is_share(name) and values.min() <= 0)]
    if bad:
        raise BaselineError(
            f"{network} cannot be recorded in {baseline.path.name}: {', '.join(bad)} is not a positive finite number for some seed."
        )
    new = {f"{data}/{network}/{name}": values.tolist() for name, values in seen.items()}
    seeds = sorted({history.seed for history in histories})
    if fault := validation.fault_of_samples(new, seeds, [execution or USUAL for execution in executions]):
        raise BaselineError(f"What is to be recorded in {baseline.path.name} {fault}: judge that network first; it is left out.")
    baseline.new |= new


def write(
    recorded: Mapping[str, Baseline],
    *,
    why: str,
    steps: dict[str, int],
    seeds: Sequence[int],
    environment: Mapping[str, str],
    versions: Mapping[str, Mapping[str, str]],
) -> list[str]:
    """Write what was kept, backend by backend; returns what changed, old → new. Raises BaselineError, WriteError."""
    lines = []
    for backend, baseline in recorded.items():
        if not baseline.new:
            continue
        changes = baselines.save(
            baseline,
            backend=backend,
            device=baseline.device,
            steps=steps,
            seeds=list(seeds),
            executions=list(EXECUTIONS),
            why=why,
            date=datetime.now(UTC).strftime("%Y-%m-%d"),
            environment={name: value for name, value in environment.items() if name not in LEFT_OUT} | dict(versions.get(backend, {})),
        )
        lines += [f"{baseline.path.name}, old → new:", changes]
        if baseline.device.startswith("cpu-"):
            shared = baselines.file_name(backend, "cpu")
            lines.append(f"{shared} was recorded on another processor and stays as it is; to replace it, delete it and record again.")
    return lines
