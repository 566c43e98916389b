"""Types that name dimensions are checked at run time: the reference and backends train a few networks under jaxtyping's import hook."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHECKED = ("models.reference", "models.graph", "models.nodes", "models.parts")
NETWORKS = (
    "depth=4,norm=batch,batch=8", "depth=4,norm=rms,norm_at=after,act=gelu,batch=8,loss=mse", "depth=6,skip=two,act=selu,batch=8",
    "depth=6,bottleneck=4,skip=two,skip_order=pre,norm=group,batch=8,optimizer=nadam", "depth=3,precision=mixed_float16,batch=8,loss=huber",
    "depth=3,optimizer=adafactor,loss=categorical_hinge,batch=8,act=hardswish",
    "depth=3,optimizer=lamb,loss=kl_divergence,batch=8,act=relu6",
    "depth=3,optimizer=adamw,decay=0.1,clip=global,batch=8,act=rrelu", "depth=3,precision=float64,batch=8,optimizer=rmsprop,l2=0.1",
    "rnn,layers=2,batch=8,cell=gru,l2=0.1", "rnn,length=80,batch=8,cell=lstm,outputs=all", "rnn,batch=8,cell=relu,recurrent=normal",
    "rnn,batch=8,cell=lstm,precision=mixed_bfloat16,lengths=uneven", "rnn,batch=8,parametrization=unitary",
    "conv,batch=8,norm=group,norm_groups=2,pool=max,l2=0.1", "conv,depth=3,stride=2,batch=8,norm=batch,pool=average,convolution=depthwise",
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
        penalty(spec, weights, conventions)
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
OBSERVE = """
import sys
from jaxtyping import TypeCheckError, install_import_hook
backend = sys.argv[1]
hook = install_import_hook((f"models.backends.{backend}", "models.worker.tasks.observe"), "beartype.beartype")
from bench.evidence.collect import Request, at_once, collect
from fixtures.data.datasets import load
from models.backends.registry import backend_module
from models.spec import Spec
from models.worker.tasks.observe import draw_own, observe_seeds
offered, data = backend_module(backend), load()
def ask(do, kind=None, **given):
    if do == "observe_seeds":
        return observe_seeds(given["jobs"])
    return draw_own(offered, **given) if do == "draw" else offered.activate(Spec.parse(given["spec"]), given["x"])
for text in ("depth=4,norm=batch,batch=8,clip=global", "act=gelu", "init=he_uniform"):
    collect(Request(Spec.parse(text), backend, data), at_once(ask))
print("observed")
network, x, labels = offered.Network(Spec.parse("depth=4,batch=8")), data.x_train[:8], data.y_train[:8]
for call in (lambda: network.step(x[0], labels), lambda: network.watch(x, labels.astype(float)), lambda: network.step(x, labels[:-1])):
    try:
        call()
    except TypeCheckError as error:
        print("refused")
"""


def test_the_reference_keeps_the_shapes_that_its_types_name() -> None:
    done = subprocess.run([sys.executable, "-c", RUN], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["trained", "refused", "refused", "refused"]


@pytest.mark.parametrize("backend", ["numpy", "torch", "keras"])
def test_a_backend_keeps_the_shapes_of_the_protocol(backend: str) -> None:
    done = subprocess.run([sys.executable, "-c", OBSERVE, backend], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["observed", "refused", "refused", "refused"]
