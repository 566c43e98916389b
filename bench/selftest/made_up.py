"""A run that never ran: a record with every part a page and a comparison read, to be changed by a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bench.evidence.times import StepTime
from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.verdict import FAILED, PASSED, Verdict
from bench.report import record_file
from bench.report.record import Profile, Record

SCALED_BACKWARD = """
class Off(torch.autograd.Function):
    @staticmethod
    def forward(ctx, w):
        return w.view_as(w)

    @staticmethod
    def backward(ctx, g):
        return g * (1.0001 if g.dtype == torch.float32 else 1)
"""
"""A function whose gradient is a ten-thousandth too long in float32, as a user's file has it."""
NETWORKS = ("reference", "depth=4", "norm=layer")
LAYERS = {"reference": 16, "depth=4": 4, "norm=layer": 16}


def verdict(check: str, backend: str, network: str, findings: list[Finding], status: str = "", reason: str = "") -> Verdict:
    """A verdict over made-up findings, judged as the suite judges."""
    outside = sum(not f.within for f in findings)
    judged = Verdict(check, "reference", f"The law of {check}", backend, network, status or (FAILED if outside else PASSED), reason)
    judged.judged, judged.outside, judged.findings = len(findings), outside, findings
    judged.headroom = min((f.headroom for f in findings), default=1.0)
    judged.rerun = f"pytest 'bench/test_parity.py::test_parity[{check}-{backend}-cpu-{network}]'" if outside else ""
    return judged


def parity(backend: str, network: str, factor: float = 1.0, layer: int = 3) -> Verdict:
    """Gradient parity of four layers; `factor` moves one layer's error, which may be 10 times what it is."""
    errors = {place: 1e-7 * (factor if place == layer else 1.0) for place in (1, 2, 3, 4)}
    return verdict(
        "gradient_parity",
        backend,
        network,
        [Finding(Place.of(f"dense{n}.weight", step=0), e, 0.0, 1e-6, "scaled") for n, e in errors.items()],
    )


def profile(backend: str, network: str, seed: int, accuracy: float = 0.9, decades: float = -0.5) -> Profile:
    """A gradient that falls by `decades` from last to first layer, and three seeds' samples round `accuracy`."""
    rng = np.random.default_rng([seed, *f"{backend}{network}".encode()])
    depth = LAYERS[network]
    norms = 10 ** (decades * np.linspace(1, 0, depth)) * np.exp(0.02 * rng.standard_normal(depth))
    return Profile(
        backend, network,
        gradient=[float(n) for n in norms],
        band=[(float(n / 3), float(n * 3)) for n in norms[:-1]],
        steps=[0, 50, 99], layers=[1, depth // 2, depth],
        norms=[[float(n) for n in row] for row in np.exp(rng.standard_normal((3, 3)))],
        seeds=[0, 1, 2],
        samples={
            "accuracy": [float(a) for a in accuracy + 0.005 * rng.standard_normal(3)],
            "loss": [float(x) for x in 0.5 * np.exp(0.02 * rng.standard_normal(3))],
            "gradient layer 1": [float(x) for x in np.exp(0.02 * rng.standard_normal(3))],
        },
    )  # fmt: skip


def timing(backend: str, network: str, seed: int, milliseconds: float = 2.0, control: float = 1.0, first: float = 0.2) -> StepTime:
    """Fifteen blocks of a step and of its control, 3 % apart."""
    rng = np.random.default_rng([seed, 7, *f"{backend}{network}".encode()])
    noise = np.exp(0.03 * rng.standard_normal((2, 15)))
    return StepTime(
        backend=backend, mode="eager", device="cpu", network=network, first_step_s=first, worker_rss_mb=300.0,
        step_samples_s=[float(x) for x in 1e-3 * milliseconds * noise[0]],
        control_samples_s=[float(x) for x in 1e-3 * control * noise[1]],
    )  # fmt: skip


def made(seed: int = 0, **changes: Any) -> Record:
    """A run, healthy unless `changes` say otherwise."""
    cases = [(backend, network) for backend in ("torch", "keras") for network in NETWORKS]
    content = {
        "environment": {"torch": "2.13.0", "keras": "3.15.1", "processor": "made up", "threads": "1", "device": "cpu"},
        "options": {"cases": "smoke", "data": "digits", "seeds": 3},
        "versions": {"torch": {"torch": "2.13.0"}, "keras": {"keras": "3.15.1", "tensorflow": "2.21.0"}},
        "exit_status": 0,
        "seconds": 12.0,
        "peak_memory_mb": {"torch": 360.0, "keras": 700.0},
        "profiles": [profile(*case, seed) for case in cases],
        "verdicts": [parity(*case) for case in cases],
        "timings": [timing(*case, seed) for case in cases],
    } | changes
    return Record(started=f"2026-01-01T00000{seed}Z", **content)


def run(folder: Path, seed: int = 0, **changes: Any) -> Record:
    """A made-up run, written and read again."""
    return record_file.read(path(folder, seed, **changes))


def path(folder: Path, seed: int = 0, **changes: Any) -> Path:
    """The file of a made-up run, as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    record_file.write(folder, made(seed, **changes))
    return folder / "latest.json"
