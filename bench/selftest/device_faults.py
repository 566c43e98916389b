"""Faults planted on a device: `python -m bench device-faults --device=cuda` plants some of each part and says who catches them.

Each network is first judged without a fault, so that a false alarm is no catch. Status 1 where a fault is missed or found elsewhere, or a
healthy network is red; 14 where the device is not there.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import os
import sys
import warnings

from bench.exit_status import Status
from bench.judging.verdict import FAILED
from bench.selftest.faults import FAULTS, Fault
from models.backends.registry import BACKENDS, BackendError
from models.worker import devices


def chosen(framework: str, count: int) -> list[Fault]:
    """`count` faults that show without training, of one part after the other."""
    shown = [
        [f for f in faults if not f.trains and f.check != "reproducible"]
        for part, faults in FAULTS[framework].items()
        if part != "controls"
    ]
    turns = itertools.chain.from_iterable(itertools.zip_longest(*shown))
    return [fault for fault in turns if fault is not None][:count]


@functools.cache
def red_without_a_fault(backend: str, network: str, device: str) -> str:
    """The checks that are red on a healthy network; several faults share one."""
    from bench.selftest import kills

    return " ".join(kills.catchers(kills.verdicts(kills.seen(backend, network, False, device=device))))


def judged(backend: str, fault: Fault, device: str) -> tuple[str, str]:
    """Nothing where the fault is caught where it is, or else what went wrong; and the checks that are red."""
    from bench.selftest import kills
    from bench.selftest.faults.plant import planted

    if red := red_without_a_fault(backend, fault.network, device):
        return "red without a fault", red
    with planted(fault):
        verdicts = kills.verdicts(kills.seen(backend, fault.network, False, device=device))
    red = " ".join(kills.catchers(verdicts))
    if verdicts[fault.check].status != FAILED:
        return "missed", red
    found = any(fault.where in finding.where for finding in verdicts[fault.check].findings if not finding.within)
    return "" if found else "found elsewhere", red


def main(arguments: list[str] | None = None) -> int:
    """Plant, print a line a fault, and count."""
    parser = argparse.ArgumentParser(prog="python -m bench device-faults", description=__doc__)
    parser.add_argument("--device", default="cuda", help="cpu, cuda or cuda:0 (default: cuda)")
    parser.add_argument("--backend", default="torch", choices=[name for name in BACKENDS if BACKENDS[name].framework in FAULTS])
    parser.add_argument("--count", type=int, default=12, help="how many faults (default: 12)")
    options = parser.parse_args(arguments)
    try:
        devices.refuse_unknown(options.device)
        os.environ |= dict(BACKENDS[options.backend].variables) | devices.variables(options.device)
        lines = []
        warnings.simplefilter("ignore", UserWarning)  # frameworks' words on planted faults
        for fault in chosen(BACKENDS[options.backend].framework, options.count):
            wrong, red = judged(options.backend, fault, devices.kind(options.device))
            lines.append(not wrong)
            print(f"{wrong or 'caught':<20}{fault.name} · {fault.network} · {red}", flush=True)
    except (BackendError, devices.DeviceError) as error:
        print(error, file=sys.stderr)
        return Status.ENVIRONMENT
    print(f"{sum(lines)} of {len(lines)} faults are caught on {options.device} by the check and in the place that they name.")
    return Status.SAME if all(lines) else Status.FAILING


if __name__ == "__main__":
    raise SystemExit(main())
