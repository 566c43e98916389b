"""Trains a user's Keras model on its own data by `train_on_batch`."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np
from keras import ops

from models.backends.keras.own.collections import factory
from models.backends.keras.own.network import OwnModelOfKeras
from models.backends.keras.taps import Taps
from models.own.address import OwnModel
from models.own.gauge import pair
from models.own.loading import Home
from models.own.training import OwnHistory, batches, nudged, share
from models.own.trees import mapped


def train_own(model: OwnModel, seed: int, moved: bool, device: str) -> OwnHistory:
    """One training over all of its data, from the factory's weights. Raises OwnError."""
    keras.config.disable_traceback_filtering()
    own = OwnModelOfKeras(Home(model, factory), seed)
    own.restore()
    net, optimizer = own.model, own.model.optimizer
    if moved:
        new = nudged(own.weights(), seed)
        for variable in own.variables:
            variable.assign(new[own.name(variable)])
    losses, norms = [], []
    with own.describing("could not be trained"):
        net.jit_compile = False
        net.make_train_function(force=True)
        optimizer.build(own.variables)
        taps = Taps(optimizer, own.variables, [], ("gradients",))
        for given in batches(own.gauge.data, model.id):
            batch = mapped(own._placed, pair(given, model.id))
            inputs, targets = (batch, None) if isinstance(batch, Mapping) else batch
            net.reset_metrics()  # else it reports the mean over all steps so far
            reported = net.train_on_batch(inputs, targets)
            losses.append(float(reported[0] if isinstance(reported, list) else reported))
            norms.append([float(np.linalg.norm(g.astype(np.float64))) for g in taps.gradients(own.variables)])
    found = OwnHistory(seed, losses, np.array(norms), own.names, moved=moved)
    if own.gauge.metric is not None:
        batch = mapped(own._placed, own.gauge.batch if own.gauge.test is None else pair(own.gauge.test, model.id))
        inputs, targets = (batch, batch) if isinstance(batch, Mapping) else batch
        with own.describing("has a metric that could not be computed"):
            value = own.gauge.metric(net(inputs, training=False), targets)
            found.score = share(ops.convert_to_numpy(value), model.id)
    return found
