"""What this machine has for a run: processor, driver, GPUs, variables, frameworks; one product and first steps of each of them.

`python -m bench.doctor` is useful on any machine. With `--require-gpu` a framework that does not compute on a GPU is an error of the
environment, with its cause and remedy. Frameworks are asked in processes of their own.
"""

import argparse
import os
from collections.abc import Iterator

import psutil

from bench.doctor import FrameworkReport, examine, gpu_problems, problem, step_problems
from bench.exit_status import Status
from bench.report import texts
from fixtures.machine import nvidia_driver
from fixtures.machine.fingerprint import fingerprint
from fixtures.machine.nvidia_driver import Driver
from models.backends.registry import BACKENDS, BackendError, lacking, named
from models.backends.usual import stand_in, usual
from models.worker.devices import VISIBLE

SHOWN = (
    "CUDA_", "NVIDIA_", "ROCR_", "HIP_", "XLA_", "TF_", "KERAS_", "JAX_", "TORCH", "PYTORCH_", "OMP_", "MKL_", "CUBLAS_", "TRITON_",
    "LD_LIBRARY_PATH",
)  # fmt: skip
"""How variables begin that steer frameworks, threads and devices."""
FOREIGN = ("TF_CLI_CONFIG_FILE",)
"""Terraform's, which begins as TensorFlow's do."""
GPU_VARIABLES = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES")


def described(driver: Driver, variables: dict[str, str]) -> Iterator[str]:
    """The machine, line by line."""
    own = fingerprint("", 1)
    free = psutil.virtual_memory().available / 2**30
    memory = f"{own['memory']}, {free:.0f} GiB free"
    yield f"machine     {own['processor']} · {own['cores']} cores · {memory} · {own['system']} · Python {own['python']}"
    if driver.problem:
        yield f"driver      none: {driver.problem}"
    else:
        yield f"driver      NVIDIA {driver.version}, runs CUDA up to {'.'.join(map(str, driver.cuda))}"
    for number, gpu in enumerate(driver.gpus):
        capability = ".".join(map(str, gpu.capability))
        memory = f"{gpu.free:,.0f} of {gpu.total:,.0f} MB free" if gpu.total else "memory shared with the processor, or not told"
        mode = f" · compute mode {gpu.mode}" if gpu.mode else ""
        yield f"GPU {number}       {gpu.name} · compute {capability} · {memory}{mode} · {gpu.uuid}"
        if gpu.mig:
            yield f"            divided (MIG); a run uses the parts that {VISIBLE} names: {', '.join(gpu.instances) or 'not told'}"
        others = [f"{pid} {_name(pid)} {megabytes:,.0f} MB" for pid, megabytes in gpu.processes.items()]
        yield f"            other processes: {', '.join(others) or 'none'}"
    unset = [f"{name} is not set" for name in GPU_VARIABLES if name not in variables]
    chosen = [f"{name}={value}" for name, value in sorted(variables.items()) if name.startswith(SHOWN) and name not in FOREIGN]
    yield f"variables   {' · '.join([*chosen, *unset])}"


def described_framework(report: FrameworkReport) -> str:
    """A framework: what it is and sees, how long first steps take, and libraries that are not its own."""
    seen = report.seen
    if report.death:
        return f"{report.backend:<12}does not start"
    versions = texts.library(seen.versions, " · ")
    listed = ", ".join(seen.devices)
    done = seen.error or f"product on {seen.place} {'wrong' if seen.wrong else 'exact'}"
    lines = [f"{report.backend:<12}{versions} · built for {seen.built_for or 'the CPU alone'} · sees {listed} · {done}"]
    if report.steps:
        taken = " · ".join(f"{step.mode} {'fails' if step.error else f'{step.seconds:.1f} s'}" for step in report.steps)
        lines.append(f"            first steps: {taken}")
    if seen.shadowed:
        lines.append(f"            in the place of its own libraries (LD_LIBRARY_PATH): {', '.join(seen.shadowed)}")
    return "\n".join(lines)


def _name(pid: int) -> str:
    try:
        return psutil.Process(pid).name()
    except psutil.Error:  # of another container
        return "(not visible here)"


def main(arguments: list[str] | None = None) -> int:
    """Print what there is, then what is wrong; Status.ENVIRONMENT if anything is."""
    parser = argparse.ArgumentParser(prog="python -m bench doctor", description=__doc__)
    parser.add_argument("--require-gpu", action="store_true", help="a framework that does not compute on a GPU is an error")
    parser.add_argument("--backend", help=f"comma-separated, out of {', '.join(BACKENDS)} (default: as pytest)")
    parser.add_argument("--steps", action="store_true", help="steps in every mode without a GPU, too, where compiling takes minutes")
    chosen = parser.parse_args(arguments)
    try:
        names = usual() if chosen.backend is None else named(chosen.backend, installed=False)
    except BackendError as error:
        parser.error(str(error))
    asked, variables = nvidia_driver.ask(), dict(os.environ)
    for line in described(asked, variables):
        print(line)
    if standing_in := stand_in(names):
        print(standing_in)
    problems = [f"{name} needs the package {lacking(name)}: install it, or choose another --backend." for name in names if lacking(name)]
    reports = []
    for name in names:
        if not lacking(name):
            reports.append(report := examine(name, steps=chosen.steps))
            print(described_framework(report), flush=True)
            problems += filter(None, [problem(report, asked, variables, chosen.require_gpu), *step_problems(report)])
    problems += gpu_problems(asked, variables, reports) if chosen.require_gpu else []
    print("\n".join(problems) or f"Fit for a run{' on a GPU' if chosen.require_gpu else ''}.")
    return Status.ENVIRONMENT if problems else Status.SAME


if __name__ == "__main__":
    raise SystemExit(main())
