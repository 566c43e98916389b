"""Duets that cost nothing: workers that answer at once with the times they are told to have."""

from __future__ import annotations

from concurrent.futures import Future

import numpy as np

from bench.timing.duet import sides
from bench.timing.duet.sides import DuetCase, Side, Variant
from bench.timing.steps import proof
from bench.versions.environments import Interpreter
from fixtures.data.datasets import load
from models.spec import Spec
from models.worker.process import WorkerDied
from models.worker.tasks.step_timer import Block, Peaks, Prepared

SPEC = Spec.of(depth=2)
RNG = np.random.default_rng(5)


class Stub:
    """A worker whose step takes `seconds` times a disturbance that all workers of a moment share, and dies after `lives` blocks."""

    pid = 0  # no process

    def __init__(self, seconds=0.004, noise=0.002, lives=10**9, layout=0.002):
        """How its process happens to be laid out is drawn once."""
        self.seconds, self.noise, self.lives = seconds * float(np.exp(RNG.normal(0, layout))), noise, lives
        self.backend, self.alive, self.closed, self.asked = "torch", True, False, []

    def submit(self, do, kind=None, /, **given):
        """Answer at once."""
        self.asked.append((do, given))
        future = Future()
        try:
            future.set_result(self.answer(do, **given))
        except Exception as error:
            future.set_exception(error)
        return future

    def answer(self, do, **given):
        """What a worker would have said."""
        if do == "prepare":
            return Prepared(0.5 * float(np.exp(RNG.normal(0, 0.02))), proof(SPEC, "torch", load()).weights)
        if do == "timed_block":
            self.lives -= 1
            if self.lives < 0:
                self.alive = False
                raise WorkerDied("the torch worker was killed by SIGKILL; its last output: out of memory")
            seconds = self.seconds * given["steps"] * float(np.exp(RNG.normal(0, self.noise)))
            return Block(seconds, 0.0, 0.0)
        return {"peaks": Peaks(300.0, 0.0), "versions": {"torch": "2.13.0"}}.get(do)

    def last_output(self):
        """What it printed last."""
        return "out of memory"

    def close(self):
        """End."""
        self.closed, self.alive = True, False


def case(monkeypatch, a=None, b=None, spec=SPEC, device="cpu") -> DuetCase:
    """A case whose workers are stubs; `a` and `b` make one for every restart."""
    makers = {"a": a or Stub, "b": b or a or Stub}
    monkeypatch.setattr(sides.Variant, "worker", lambda variant: makers[variant.side.text]())
    one, other = (Variant(Side(text, None, "python", ("torch",), ""), Interpreter("python"), "torch", "eager", 1, device) for text in "ab")
    return DuetCase(spec, one, other)
