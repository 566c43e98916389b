"""Every constant that decides between red and green, each with what calibrates it."""

from __future__ import annotations

ROUNDING_MULTIPLE = 10.0
"""How many times the reference's own float32 error a framework may be off. Derived where six passes measure that error
(`bench.evidence.reference.ROUNDINGS`: Student's t with 6 degrees of freedom exceeds 10 once in 20,000 where one sample carries the
gradient, and practically never where many do); `python -m bench.selftest.false_alarms` prints how much of it fresh seeds use."""

NORM_MULTIPLE = 2
"""How many times as far as `models.parts.clips.rounding_of_norms` says a clipped norm may be off: frameworks add its squares in an order
of their own."""

CARRIED_MULTIPLE = 100.0
"""How many float64 roundings two frameworks may lie apart that hold the same weights: 1e-14 of an output. Kernels add up in other orders,
and float64's add number by number. `pytest --model=aligned:mobilenet_v3_small` uses 2 of them, which the summary says as headroom."""

ROUNDING_LIMIT = 1e-2
"""Relative rounding error above which float32 cannot judge a network: its own noise would excuse a real fault."""

BAND_Z = 5.0
"""Half-width of theory bands and of sampling intervals, in standard deviations: 6e-7 false alarms each if Gaussian."""

RUN_FALSE_ALARMS = 1e-3
"""Chance that a healthy core run raises any alarm against its baselines; divided over all its metrics (Bonferroni)."""

METRICS_PER_RUN = 2000
"""How many metrics a core run of two backends judges, rounded up: 140 networks trained, thirteen metrics of each."""

ACCURACIES_PER_RUN, MEANS_PER_RUN, SEEDS_PER_RUN = 300, 2000, 6000
"""How many accuracies, other means over recorded seeds, and single seeds a core run judges, rounded up: of 140 networks trained two,
eleven, and thirteen of three seeds each. Accuracies share half of `RUN_FALSE_ALARMS`, the others a quarter each."""

WIDEST = 100.0
"""Ratio between the ends of a loss's or gradient norm's interval from which it judges nothing: it admits a decade either way, from
which a gradient is called vanishing or exploding (`bench.theory.diagnosis.NOTABLE`)."""

FALLBACK_WIDENING = 3.0
"""How many times wider an interval is that comes from another device class of the same backend."""

FALSE_DISCOVERIES = 0.01
"""Share of false alarms among the trainings that a comparison of two runs calls different; where nothing changed, the chance of any."""

RUN_TO_RUN = 0.14
"""Standard deviation, between two runs of the same code, of the log of a step's time in units of the control product beside it:
0.14 for PyTorch and 0.08 for Keras over 14 runs on two cores beside other jobs, where the time itself varied by 0.37 and 0.26."""

RUNS_Z = 3.0
"""Half-width of a comparison of step times between two runs, in standard deviations; with `RUN_TO_RUN` a factor of 1.8."""

MATERIAL_TIME = 1.5
"""The factor in step time below which two separate runs count as the same."""

MATERIAL_MEMORY = 1.25
"""The factor in peak memory from which it counts as changed."""

MATERIAL_COMPILE = 2.0, 1.0
"""The factor and the seconds by which a first step must change, both, to count: it is a single reading."""

MEMORY_GROWTH = 32.0
"""MB that 100 calls of an entry point may keep after a warm-up. Healthy ones kept 0.0 (PyTorch's step), 0.04 (train_on_batch), 1.3 (fit),
1.2 (evaluate) and 0.9 (predict); a step of this small network that is traced anew at every call kept 149 to 162 (Keras 3.0.1 to 3.6.0)."""

MODEL_MEMORY = 2.0
"""MB that a small model may keep after it was built, trained and dropped. 80 models after a warm-up of 20 kept 0.0 each in PyTorch, and
4.2 in Keras on TensorFlow 2.21, which keeps the traced step of each (tensorflow #97697); 12 without what it keeps, 0.0."""
