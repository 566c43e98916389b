"""Metamorphic relations (equalities): what must come out the same in every scenario, on whatever backend has the scenarios.

To add one: a generator function whose docstring is the law, in the module of its topic, its row here, and a fault that it catches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bench.judging.check import Check
from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.verdict import FAILED, NOT_APPLICABLE, Verdict, judge
from bench.metamorphic import entry_points, images, minimized, parts, promised, recurrent, reported, steps
from bench.metamorphic.scenarios import Scenarios
from models.backends.protocol import BackendInfo
from models.backends.registry import info
from models.worker.process import WorkerDied, WorkerLacks

ITSELF = "itself"
NAME = "equality"
"""What verdicts of equalities are called; which equality it was stands where other checks name a network."""
DEATH = "the framework's process"
"""Where a finding stands that is a process which died."""


@dataclass(frozen=True)
class Equality:
    """A law between scenarios: `function(scenarios)` yields findings; `applies` says which backends have the scenarios.

    `slow_on` says on which of them it is judged in the full set only.
    """

    function: Callable[[Scenarios], Iterator[Finding]]
    applies: Callable[[BackendInfo], bool] = lambda row: True
    cases: str = "core"
    slow_on: Callable[[BackendInfo], bool] = lambda row: False

    @property
    def name(self) -> str:
        """The equality's name, as in test ids."""
        return self.function.__name__


def _keras(row: BackendInfo) -> bool:
    return row.framework == "keras"


def _torch(row: BackendInfo) -> bool:
    return row.framework == "torch"


def _jax(row: BackendInfo) -> bool:
    """JAX compiles every operation that it meets for the first time, and laws along whole axes meet many."""
    return row.library == "jax"


def _compiles(row: BackendInfo) -> bool:
    return row.step != "eager"


EQUALITIES: dict[str, Equality] = {
    equality.name: equality
    for equality in (
        Equality(steps.micro_batches),
        Equality(steps.micro_batches_schedule),
        Equality(steps.micro_batches_average),
        Equality(steps.duplicated_batch),
        Equality(steps.modes, _compiles),
        Equality(steps.function_in_function, lambda row: _keras(row) and row.library == "tensorflow"),
        Equality(steps.recomputed, lambda row: _torch(row) or (_keras(row) and row.library == "tensorflow")),
        Equality(steps.torch_compile, _torch, "full"),
        Equality(steps.implementations, _torch),
        Equality(steps.gradients_kept, lambda row: row.library == "torch"),
        Equality(steps.variable_count),
        Equality(steps.loss_scaling),
        Equality(steps.averaged_weights),
        Equality(reported.reported_train_on_batch, _keras),
        Equality(reported.reported_test_on_batch, _keras),
        Equality(reported.reported_fit, _keras),
        Equality(reported.reported_evaluate, _keras),
        Equality(reported.iterations, _keras),
        Equality(reported.steps_per_execution, _compiles),
        Equality(reported.loader, _torch),
        Equality(reported.penalty_once),
        Equality(reported.constraints),
        Equality(parts.frozen),
        Equality(parts.initializer_shared),
        Equality(parts.early_stopping_again, _keras),
        Equality(parts.refused),
        Equality(parts.truncated),
        Equality(parts.meeting_pieces),
        Equality(parts.half_precision_norm),
        Equality(parts.confidently_wrong),
        Equality(parts.extreme_gradients),
        Equality(entry_points.traces, lambda row: _torch(row) or _compiles(row)),
        Equality(entry_points.traces_of_epochs, _compiles),
        Equality(entry_points.memory),
        Equality(entry_points.memory_of_epochs, _keras, "full"),
        Equality(entry_points.models_dropped),
        Equality(entry_points.models_dropped_often, cases="full"),
        Equality(parts.seeds),
        Equality(recurrent.cells_in_a_loop),
        Equality(recurrent.unrolled, _keras),
        Equality(recurrent.time_first, _torch),
        Equality(recurrent.stateful_halves),
        Equality(recurrent.padded_tail),
        Equality(recurrent.both_directions),
        Equality(recurrent.stacked_layers),
        Equality(minimized.second_order, slow_on=_jax),
        Equality(minimized.lbfgs, _torch),
        Equality(promised.seeds_of_initializers, slow_on=_jax),
        Equality(promised.seeds_of_draws, slow_on=_jax),
        Equality(promised.shuffled),
        Equality(promised.counted),
        Equality(promised.norms_in_half_precision, slow_on=_jax),
        Equality(promised.defaults_spelled_out, slow_on=_keras),
        Equality(promised.options_act, slow_on=_keras),
        Equality(promised.saved_and_loaded, slow_on=_keras),
        Equality(promised.toggled, slow_on=_keras),
        Equality(promised.shared_weights, slow_on=_jax),
        Equality(promised.twice_is_once, slow_on=_jax),
        Equality(promised.ways_of_writing_layers, slow_on=_jax),
        Equality(promised.ways_of_writing_losses, slow_on=_jax),
        Equality(promised.ways_of_writing_networks, slow_on=_jax),
        Equality(promised.ways_of_training, slow_on=_jax),
        Equality(promised.ways_of_naming, _keras, "full"),
        Equality(promised.schedules_by_formula, slow_on=_jax),
        Equality(promised.layers_by_formula, slow_on=_jax),
        Equality(promised.metrics_by_formula, _keras, slow_on=_jax),
        Equality(promised.symbolic_as_computed, _keras, slow_on=_jax),
        Equality(promised.callbacks, _keras, "full"),
        Equality(promised.options_of_optimizers_act, _keras, "full"),
        Equality(promised.saved_and_loaded_with_every_optimizer, _keras, "full"),
        Equality(promised.ways_of_training_with_every_optimizer, _keras, "full"),
        Equality(recurrent.stacked_padded, _keras, "full"),
        Equality(recurrent.stateful_trained, _keras, "full"),
        Equality(recurrent.padded_head, _keras, "full"),
        Equality(recurrent.masked_loss, _keras, "full"),
        Equality(recurrent.path_of_a_gpu, lambda row: _keras(row) and row.library == "torch", "full"),
        Equality(recurrent.scanned, _keras, "full"),
        Equality(recurrent.while_loop, _keras, "full"),
        Equality(recurrent.compiled_layer, lambda row: _keras(row) and _compiles(row)),
        Equality(recurrent.compiled_cells, _torch, "full"),
        Equality(recurrent.dropout_between),
        Equality(recurrent.dropout_in_time, _keras, "full"),
        Equality(recurrent.truncated_through_time),
        Equality(recurrent.error_carousel),
        Equality(recurrent.kept_orthogonal),
        Equality(images.pointwise_convolution),
        Equality(images.whole_image),
        Equality(images.grouped_convolution),
        Equality(images.depthwise_convolution),
        Equality(images.dilated_convolution),
        Equality(images.strided_convolution),
        Equality(images.translated_image),
        Equality(images.average_by_kernel),
        Equality(images.mirrored_pooling),
        Equality(images.memory_order),
    )
}


@dataclass(frozen=True)
class EqualityCase:
    """One equality on one backend."""

    equality: str
    backend: str

    @property
    def network(self) -> str:
        """What stands where other checks name a network."""
        return self.equality


def equality_cases(cases: str, backends: Sequence[str]) -> list[EqualityCase]:
    """Every equality of a set on every backend that has its scenarios; none in `smoke`."""
    sets = {"smoke": (), "core": ("core",), "full": ("core", "full")}[cases]
    return [
        EqualityCase(name, backend)
        for name, row in EQUALITIES.items()
        for backend in backends
        if row.cases in sets and row.applies(info(backend)) and ("full" in sets or not row.slow_on(info(backend)))
    ]


def decide(name: str, scenarios: Scenarios) -> Verdict:
    """The verdict on one equality; a process that died is a finding with its signal. Raises WorkerError for a scenario that failed."""
    check = Check(EQUALITIES[name].function, ITSELF)
    scenarios.network = name
    try:
        verdict = judge(check, scenarios)
    except WorkerLacks as lack:
        verdict = Verdict(check.name, ITSELF, check.law, scenarios.backend, name, NOT_APPLICABLE, str(lack))
    except WorkerDied as death:
        findings = [Finding(Place(DEATH), 1.0, 0.0, 0.0, str(death))]
        verdict = Verdict(
            check.name, ITSELF, check.law, scenarios.backend, name, FAILED, judged=1, outside=1, headroom=0.0, findings=findings
        )
        verdict.tightest = findings[0].place
    verdict.check = NAME
    return verdict
