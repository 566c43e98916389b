"""A user's Keras model as its user trains it: passes and steps, in float32 or, built again, in float64."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import keras
import numpy as np
from keras import ops
from keras.src.models.functional import Functional

from models.arrays import Array, Arrays
from models.backends.keras.layers import array
from models.backends.keras.libraries import Tensor
from models.backends.keras.own.shared import as_first_returned, unused
from models.backends.keras.own.values import copied, dense, directly, outputs, put_back, state_of, widen
from models.backends.keras.own.watched import Layers, made_in_a_call, named, variable_names
from models.own.gauge import Gauge, NoTwinError, OwnError, gauge_of, pair
from models.own.loading import Home
from models.own.passes import OwnPass
from models.own.trees import Tree, leaves, mapped

BATCHES = 2
"""Batches that steps are taken on."""
SEED = "seed_generator_state"
"""What the variable of a `keras.random.SeedGenerator` is called."""
NARROW = "float32", "float16", "bfloat16"
"""Formats that a twin must not have; lookups of words and whole numbers compute in others."""
Differentiate = Callable[..., tuple[Tensor, Any, list[Tensor | None], dict[str, Tensor]]]
"""Value, side results, gradients of variables and of tapped layers."""
Evaluate = Callable[[Callable[[list[Tensor]], Any], Iterable[Array]], Any]
"""The result of a function of tensors."""


class OwnModelOfKeras:
    """A Keras model with its loss, batches and optimizer. A `twin` was built where float64 is Keras's default."""

    def __init__(self, home: Home, seed: int, twin_of: OwnModelOfKeras | None = None) -> None:
        """Build by the user's factory. Raises OwnError, NoTwinError for a twin that does not come out in float64."""
        self._home, self.seed, self.is_twin = home, seed, twin_of is not None
        keras.utils.set_random_seed(seed)
        home.load(seed)  # what the file itself builds takes names, once
        keras.utils.clear_session()  # so that names count from the start
        keras.utils.set_random_seed(seed)
        self.gauge = build(home, seed)
        self.model: keras.Model = self.gauge.model
        gauge = self.gauge
        if twin_of is not None and twin_of.model is self.model:
            raise NoTwinError("its factory returns the same model every time: build it in the factory")
        given = [gauge.batch] if gauge.data is None else [pair(each, home.model.id) for each in islice(iter(gauge.data), BATCHES)]
        batches = twin_of.batches if twin_of is not None else given * (1 if len(given) == BATCHES else BATCHES)
        with self.describing("has a batch that its library does not take"):
            self.batches: list[Tree] = [mapped(self._placed, each) for each in batches]
        with self.describing("could not be called"):
            whole = all(layer.built for layer in self.model._flatten_layers())
            if not self.model.built:
                with warnings.catch_warnings():  # of parts that this call leaves unbuilt
                    warnings.filterwarnings("ignore", r"`build\(\)` was called on layer", UserWarning)
                    self.model(self.inputs(0))
            elif not isinstance(self.model, (keras.Sequential, Functional)):
                self._build_late_layers()
        if not whole:
            self._build_for_training()
        with self.describing("could not be called"):
            as_first_returned(self.model)
            if not self.model.compiled or gauge.loss is not None:
                if gauge.loss is None and type(self.model).compute_loss is keras.Model.compute_loss and not self.model.losses:
                    raise OwnError(f"{home.model.id} has no loss: return one, or a compiled model.")
                optimizer = gauge.optimizer if gauge.optimizer is not None else self.model.optimizer if self.model.compiled else "sgd"
                self.model.compile(optimizer=unused(optimizer, home.model.id), loss=gauge.loss, jit_compile=False)
            else:
                self.model.optimizer = unused(self.model.optimizer, home.model.id)
            if keras.backend.backend() == "jax":  # else variables of losses and metrics would be made while JAX traces
                self.model._symbolic_build(data_batch=(self.inputs(0), self.targets(0)))
        self.variables: list[keras.Variable] = list(self.model.trainable_variables)
        self._names = variable_names(self.model)
        if not self.variables:
            raise OwnError(f"the loss of {home.model.id} reaches nothing that learns: all is frozen, or no layer has weights.")
        self._stateful = [layer for layer in self.model._flatten_layers() if getattr(layer, "stateful", False)]
        self.changed: list[str] = []
        self.drew = False
        self._begin: Mapping[str, Array] = {}
        if twin_of is None:
            self.keep()
        else:
            self._become(twin_of)

    @property
    def names(self) -> list[str]:
        """Names of what is learned, layer and kind joined by dots."""
        return [self.name(variable) for variable in self.variables]

    def name(self, variable: keras.Variable) -> str:
        """A variable's name, which no other one of the model has."""
        return self._names[id(variable)]

    @property
    def steps_by_itself(self) -> bool:
        """Whether the user has written what a training step does."""
        return type(self.model).train_step is not keras.Model.train_step

    def weights(self) -> Arrays:
        """What is learned and what is frozen, by name."""
        frozen = [
            v for layer in self.model._flatten_layers() for v in layer._trainable_variables if not any(v is w for w in self.variables)
        ]
        found = dict(zip(self.names, map(copied, self.variables), strict=True))
        return found | {self.name(v): copied(v) for v in frozen}

    def keep(self) -> None:
        """Let every pass begin with the state of now."""
        self._begin = state_of(self.model.variables)

    def restore(self) -> None:
        """The state that every pass begins with, seeds included."""
        put_back(self._begin, self.model.variables)
        for layer in self._stateful:  # whose states Keras does not count among the variables
            layer.reset_state()
        keras.utils.set_random_seed(self.seed)

    def backward(self, differentiate: Differentiate, *, watch: bool = False, number: int = 0) -> OwnPass:
        """One pass in training mode from the state at the start, whose variables stay as they are."""
        self.restore()
        inputs, targets = self.inputs(number), self.targets(number)
        held = [v for v in self.model.non_trainable_variables if str(v.dtype).startswith("float")]
        watched = Layers(self.model, watch)

        def loss_of(values: list[Tensor], tap: Callable[[str, Tensor], Tensor] | None) -> tuple[Tensor, Any]:
            pairs = list(zip(self.variables, values, strict=True))
            with keras.StatelessScope(state_mapping=pairs, collect_losses=True) as scope, watched.tapped(tap):
                output = self.model(inputs, training=True)
                if made := made_in_a_call(self.model):
                    raise OwnError(
                        f"{self._home.model.id} makes {made} in every call: make its layer in __init__ or build, which keeps it."
                    )
                loss = self.model.compute_loss(x=inputs, y=targets, y_pred=output)
            statistics = [scope.get_current_value(v) for v in held]
            self.changed = [name for name, (v, value) in zip(self.names, pairs, strict=True) if scope.get_current_value(v) is not value]
            after = [s if s is not None else v.value for s, v in zip(statistics, held, strict=True)]
            return loss, (dict(leaves(output)), after, dict(watched.seen))

        with self.describing("could not be trained", watched):
            loss, (output, statistics, signals), slopes, deltas = differentiate(loss_of, [v.value for v in self.variables])
        if ops.ndim(loss):
            raise OwnError(
                f"the loss of {self._home.model.id} is no single number but has shape {tuple(ops.shape(loss))}: return its mean."
            )
        gradients = {name: dense(g) for name, g in zip(self.names, slopes, strict=True) if g is not None}
        return OwnPass(
            float(ops.convert_to_numpy(loss)), outputs(output), gradients,
            {self.name(v): array(s) for v, s in zip(held, statistics, strict=True)},
            {name: array(z) for name, z in signals.items()}, {name: dense(d) for name, d in deltas.items() if d is not None},
        )  # fmt: skip

    def loss_at(self, moved: Mapping[str, Array], evaluate: Evaluate | None = None, *, all_given: bool = True) -> float:
        """The loss in training mode with some parameters moved, from the state at the start.

        `evaluate` is given the values of all parameters or, unless `all_given`, of those that are moved.
        """
        self.restore()
        inputs, targets = self.inputs(0), self.targets(0)
        variables = dict(zip(self.names, self.variables, strict=True))
        given = [name for name in variables if all_given or name in moved]

        def loss_of(values: list[Tensor]) -> Tensor:
            by_name = dict(zip(given, values, strict=True))
            # What is not given has its own tensor: Keras's regularizers take what the scope has and nothing else.
            pairs = [(v, by_name.get(name, v.value)) for name, v in variables.items()]
            with keras.StatelessScope(state_mapping=pairs, collect_losses=True):
                output = self.model(inputs, training=True)
                return self.model.compute_loss(x=inputs, y=targets, y_pred=output)

        values = (array(variables[name]).astype(np.float64) + moved.get(name, 0.0) for name in given)  # one at a time: they may be large
        with self.describing("could not be trained"):
            loss = (evaluate or directly)(loss_of, values)
        return float(ops.convert_to_numpy(loss))

    def evaluated(self, reset: bool = True, evaluate: Evaluate | None = None) -> Arrays:
        """Outputs in evaluation mode; with `evaluate` as a function of the parameters that leaves no trace."""
        if reset:
            self.restore()

        def output_of(values: list[Tensor]) -> Tree:
            with keras.StatelessScope(state_mapping=list(zip(self.variables, values, strict=True))) as scope:
                output = dict(leaves(self.model(self.inputs(0), training=False)))
            seeds = [v for v in self.model.non_trainable_variables if v.path.endswith(SEED)]
            self.drew = any(scope.get_current_value(v) is not None for v in seeds)
            return output

        with self.describing("could not be evaluated"):
            if evaluate is not None:
                return outputs(evaluate(output_of, [copied(v) for v in self.variables]))
            return outputs(self.model(self.inputs(0), training=False))

    def state(self) -> Arrays:
        """All variables of model and optimizer."""
        variables = [*self.model.variables, *(self.model.optimizer.variables if self.model.optimizer is not None else [])]
        return {f"{place} {named(v.path, self.model.name)}": copied(v) for place, v in enumerate(variables)}

    def _become(self, other: OwnModelOfKeras) -> None:
        """Take the other's state. Raises NoTwinError for a model that is not the same one in float64."""
        for layer in self.model._flatten_layers(include_self=False):
            kind = type(layer).__name__
            if not layer.variables and getattr(layer, "compute_dtype", "") == "float32":
                layer.dtype_policy = keras.DTypePolicy("float64")  # a softmax, for example, that its author keeps in float32
            if kind != "InputLayer" and getattr(layer, "compute_dtype", "float64") in NARROW:
                raise NoTwinError(
                    f"{named(layer.path or layer.name, self.model.name)} computes in {layer.compute_dtype} wherever it is built"
                )
        for variable in self.model.variables:
            if variable.dtype in NARROW:
                widen(variable)  # those of a LoRA, for example, which Keras keeps in float32
        if [v.shape for v in self.model.variables] != [v.shape for v in other.model.variables]:
            raise NoTwinError("the factory builds another model the second time")
        self._begin = other._begin
        self.restore()

    def _build_late_layers(self) -> None:
        """Call a model that calls itself built, since its first call may make layers; what it has stays as it is."""
        before = [(v, copied(v)) for v in self.model.variables]
        self.model(self.inputs(0))
        for variable, value in before:
            variable.assign(value)

    def _build_for_training(self) -> None:
        """Build what only training has, an auxiliary head for example, so that nothing else moves."""
        layers = Layers(self.model, watch=False)
        with self.describing("could not be trained", layers), keras.StatelessScope(), layers.tapped(None):
            self.model(self.inputs(0), training=True)

    @contextlib.contextmanager
    def describing(self, what: str, layers: Layers | None = None) -> Iterator[None]:
        """Run the user's code; what it raises is theirs, and of a twin the reason why there is none."""
        try:
            with self._home.describing(f"{self._home.model.id} {what}"):
                yield
        except OwnError as error:
            if self.steps_by_itself and "No loss to compute" in str(error):
                raise OwnError(
                    f"{self._home.model.id} has a train_step of its own and no loss to ask for: return that loss, or write compute_loss."
                ) from error
            if self.is_twin:
                place = layers.inside if layers and layers.inside else "the model"
                raise NoTwinError(f"{place} does not run in float64: {str(error).partition(': ')[2]}") from error
            raise

    def inputs(self, number: int) -> Tree:
        """What the model is called with in a step: a batch that is a dict as it is."""
        batch = self.batches[number]
        return batch if isinstance(batch, Mapping) else batch[0]

    def targets(self, number: int) -> Tree:
        """What the loss is given besides; None with a batch that is a dict."""
        batch = self.batches[number]
        return None if isinstance(batch, Mapping) else batch[1]

    def _placed(self, leaf: Any) -> Any:
        if leaf is None or isinstance(leaf, (str, bytes)):
            return leaf
        value = ops.convert_to_numpy(leaf)
        wide = self.is_twin and np.issubdtype(value.dtype, np.floating)
        return ops.convert_to_tensor(value.astype(np.float64) if wide else value)


def build(home: Home, seed: int) -> Gauge:
    """What the user's factory returns. Raises OwnError."""
    return gauge_of(home.call(seed), is_model, "Keras model")


def is_model(value: Any) -> bool:
    """Whether this is a Keras model."""
    return isinstance(value, keras.Model)
