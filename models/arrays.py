"""NumPy arrays by what their dimensions mean: the types of everything that models, backends and judges exchange.

A type checker sees `numpy.ndarray`. `bench/selftest/test_shapes.py` checks kinds of numbers and shapes at run time. Dimensions of one
name are equal within one call.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Inexact, Integer, Num

Array = np.ndarray
"""Numbers of any shape."""
Arrays = dict[str, np.ndarray]
"""Parameters, or gradients of parameters, by name (`dense5.weight`)."""
Batch = Inexact[np.ndarray, "batch features"]
"""Inputs of one batch."""
Units = Inexact[np.ndarray, "batch units"]
"""What one node computes for every sample, or the loss's gradient with respect to it."""
Gates = Inexact[np.ndarray, "batch gates"]
"""What a time step's gates are given, those of one gate after those of another."""
Sequence = Inexact[np.ndarray, "batch length _"]
"""The same for every time step of a sequence, whatever number of units."""
Images = Inexact[np.ndarray, "batch _ _ _"]
"""The same for every pixel of an image: (batch × channels × rows × columns), whatever number of these."""
Mask = Bool[np.ndarray, "batch length"]
"""Which time steps are within each sample."""
AnySignal = Inexact[np.ndarray, "batch *_"]
"""What any node computes."""
Signals = dict[str, AnySignal]
"""What nodes compute, or the loss's gradients with respect to it, by node name."""
Logits = Inexact[np.ndarray, "batch classes"]
"""Outputs of a network, before softmax."""
Labels = Integer[np.ndarray, " batch"]
"""The class of every sample."""
Indices = Integer[np.ndarray, " chosen"]
"""Samples that were chosen out of more."""
Targets = Num[np.ndarray, "batch *classes"]
"""What a loss compares logits with: labels, or a number for every class."""
Weight = Inexact[np.ndarray, "fan_out fan_in"]
"""The weight of one dense node."""
PerUnit = Inexact[np.ndarray, " units"]
"""A bias, scale, shift or running statistic."""
PerSample = Inexact[np.ndarray, " batch"]
"""One number for every sample."""
Batches = Inexact[np.ndarray, "steps batch features"]
"""Inputs of several training steps."""
BatchLabels = Integer[np.ndarray, "steps batch"]
Places = Integer[np.ndarray, "steps batch"]
"""Labels of several training steps."""
AnyPerUnit = Inexact[np.ndarray, " _"]
"""The same, where nodes of several widths stand together."""
Statistics = dict[str, tuple[AnyPerUnit, AnyPerUnit]]
"""Mean and variance of every normalization, by node name."""
PerStep = Float[np.ndarray, " steps"]
"""One number for every training step."""
Norms = Float[np.ndarray, "taken nodes"]
"""Gradient norms of every dense node's weight, for every step that was taken."""
Points = Inexact[np.ndarray, " points"]
"""Numbers at which a function is evaluated, or its values there."""
