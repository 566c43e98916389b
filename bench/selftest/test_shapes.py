"""Types that name dimensions are checked at run time: the reference trains a few networks under jaxtyping's import hook."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHECKED = ("models.reference", "models.graph", "models.parts")
NETWORKS = (
    "depth=4,norm=batch,batch=8", "depth=4,norm=rms,norm_at=after,act=gelu,batch=8,loss=mse", "depth=6,skip=two,act=selu,batch=8",
    "depth=6,bottleneck=4,skip=two,skip_order=pre,norm=group,batch=8,optimizer=nadam", "depth=3,precision=mixed_float16,batch=8,loss=huber",
    "depth=3,optimizer=adamw,decay=0.1,clip=global,batch=8,act=rrelu", "depth=3,precision=float64,batch=8,optimizer=rmsprop,l2=0.1",
)  # fmt: skip
RUN = f"""
from jaxtyping import TypeCheckError, install_import_hook
hook = install_import_hook({CHECKED!r}, "beartype.beartype")
import numpy as np
from models.parts.losses import LOSSES
from models.reference import kinks
from models.reference.draws import prepare_forced_steps
from models.reference.network import Reference
from models.reference.optimizers import Rule, penalty
from models.spec import Spec
rng = np.random.default_rng(0)
x, labels = rng.standard_normal((200, 64)), rng.integers(0, 10, 200)
for text in {NETWORKS!r}:
    spec = Spec.parse(text)
    (step,) = prepare_forced_steps(spec, x, labels, 0, steps=1)
    for conventions in ("torch", "keras"):
        rounded = Reference(spec, step.weights, np.float32, 0, conventions)
        seen = rounded.run(step.x, step.labels)
        done = Reference(spec, step.weights).run(step.x, step.labels, seen)
        Reference(spec, step.weights).forward(step.x, done.statistics if spec.arch.norm == "batch" else None)
        kinks.distances(done, kinks.reach(done, [seen]))
        rule = Rule(spec, conventions)
        weights = rule.step(rule.step(step.weights, seen.gradients), seen.gradients)
        penalty(spec, weights)
print("trained")
for call in (
    lambda: Reference(spec, step.weights).run(step.x[0], step.labels),
    lambda: Reference(spec, step.weights).run(step.x, step.labels.astype(float)),
    lambda: Reference(spec, step.weights).run(step.x, step.labels[:-1]),
):
    try:
        call()
    except TypeCheckError as error:
        print("refused")
"""


def test_the_reference_keeps_the_shapes_that_its_types_name() -> None:
    done = subprocess.run([sys.executable, "-c", RUN], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["trained", "refused", "refused", "refused"]
