"""What the layers of a user's Keras model give out while it runs, and which one runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, count
from unittest import mock

import keras
from keras import ops
from keras.src import backend
from keras.src.backend.common.global_state import get_global_attribute

from models.backends.keras.libraries import Tensor
from models.own.trees import Tree


class Layers:
    """What layers without parts give out on their first call, and which layer runs."""

    def __init__(self, model: keras.Model, watch: bool) -> None:
        """`seen` fills as the model runs."""
        layers = [layer for layer in model._flatten_layers(include_self=False) if type(layer).__name__ != "InputLayer"]
        self._names = layer_names(model)
        self._whole = {id(layer) for layer in layers if watch and not list(layer._flatten_layers(include_self=False))}
        self.seen: dict[str, Tensor] = {}
        self.inside = ""

    @contextlib.contextmanager
    def tapped(self, tap: Callable[[str, Tensor], Tensor] | None) -> Iterator[None]:
        """While the model runs in here, each layer's output passes through `tap`."""
        self.seen.clear()
        call = keras.layers.Layer.__call__

        def watched(layer: keras.layers.Layer, *args: object, **kwargs: object) -> Tree:
            outer, self.inside = self.inside, self._names.get(id(layer), self.inside)
            output = call(layer, *args, **kwargs)
            self.inside = outer
            name = self._names.get(id(layer), "")
            if id(layer) in self._whole and name not in self.seen and ops.is_tensor(output) and "float" in str(output.dtype):
                if tap is not None:
                    mask, output = _mask_of(output), tap(name, output)
                    if mask is not None:
                        _put_mask(output, mask)  # Keras carries the mask of padding on the tensor itself
                self.seen[name] = output
            return output

        with mock.patch.object(keras.layers.Layer, "__call__", watched):
            yield


def named(path: str, root: str) -> str:
    """`block.conv.kernel` for `model/block/conv/kernel`."""
    return path.removeprefix(f"{root}/").replace("/", ".")


def made_in_a_call(model: keras.Model) -> str:
    """The first variable to be learned that the call in this stateless scope has made, and the next call makes anew; empty without one."""
    made: list[keras.Variable] = get_global_attribute("uninitialized_variables", [])
    return next((named(v.path, model.name) for v in made if v.trainable), "")


def layer_names(model: keras.Model) -> dict[int, str]:
    """Names of the layers inside a model, by their `id`."""
    layers = list(model._flatten_layers(include_self=False))
    return dict(zip(map(id, layers), distinct(named(layer.path or layer.name, model.name) for layer in layers), strict=True))


def variable_names(model: keras.Model) -> dict[int, str]:
    """Names of a model's variables by their `id`, each behind the name of its layer."""
    names = {id(v): named(v.path, model.name) for v in model.variables}
    layers = layer_names(model)
    for layer in model._flatten_layers(include_self=False):
        path = named(layer.path or layer.name, model.name)
        for v in (*layer._trainable_variables, *layer._non_trainable_variables):
            if names.get(id(v), "").startswith(f"{path}."):
                names[id(v)] = layers[id(layer)] + names[id(v)].removeprefix(path)
    return dict(zip(names, distinct(names.values()), strict=True))


def distinct(names: Iterable[str]) -> list[str]:
    """The names in their order; `name#2` and on for those that come again, since Keras lets layers and weights share a path."""
    found: dict[str, None] = {}
    for name in names:
        others = (f"{name}#{number}" for number in count(2))
        found[next(each for each in chain([name], others) if each not in found)] = None
    return list(found)


def _mask_of(tensor: Tensor) -> Tensor | None:
    """The mask of padding that a tensor carries; releases before 3.7 keep it as an attribute."""
    if hasattr(backend, "get_keras_mask"):
        return backend.get_keras_mask(tensor)
    return getattr(tensor, "_keras_mask", None)


def _put_mask(tensor: Tensor, mask: Tensor) -> None:
    if hasattr(backend, "set_keras_mask"):
        backend.set_keras_mask(tensor, mask)
    else:
        setattr(tensor, "_keras_mask", mask)  # noqa: B010 (no attribute of tensors in general)
