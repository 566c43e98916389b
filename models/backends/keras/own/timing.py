"""A training step of a user's Keras model, for the clock."""

from __future__ import annotations

import keras

from models.backends.keras.own.collections import factory
from models.backends.keras.own.network import OwnModelOfKeras
from models.backends.protocol import TimedWork
from models.backends.registry import Absent
from models.own.address import OwnModel
from models.own.loading import Home
from models.own.protocol import OwnStep

MODES = "train_on_batch", "jit", "eager"


def own_step(model: OwnModel, mode: str, seed: int, device: str) -> OwnStep:
    """One `train_on_batch`; in mode `jit` compiled by `jit_compile`, in mode `eager` not compiled.

    Raises OwnError, and Absent for other modes.
    """
    if mode not in MODES:
        raise Absent(f"--{mode} is no way to time a model of your own: use --{', --'.join(MODES)}")
    keras.config.disable_traceback_filtering()
    own = OwnModelOfKeras(Home(model, factory), seed)
    own.restore()
    own.model.jit_compile, own.model.run_eagerly = mode == "jit", mode == "eager"
    own.model.make_train_function(force=True)
    inputs, targets = own.inputs(0), own.targets(0)
    work = TimedWork(lambda: own.model.train_on_batch(inputs, targets), lambda: None)
    return OwnStep(work, lambda: own.describing("could not take a step"), own.weights)
