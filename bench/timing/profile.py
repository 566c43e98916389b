"""Where the processor time of a run goes: by stage and process, and by network.

Everything after the command's own options goes to pytest, whose exit status is this command's. With --bare the same networks are built,
compiled and trained once more by the shortest way, which is what any suite would have to spend. Seconds are of the processor and not of the
clock, so that a busy machine changes them little.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import msgspec

from bench import files
from bench.evidence.schedule import STEPS
from bench.exit_status import Status
from bench.files import WriteError
from bench.progress import shown, track
from bench.report import text_table
from fixtures.data.datasets import load
from models.spec import Spec
from models.worker.devices import kind
from models.worker.process import Worker, WorkerLacks

LARGEST = 12
"""How many networks and equalities are named."""
BARE = frozenset({"building", "first step", "training"})
"""The stages of a worker that the shortest way has as well."""


class Profile(msgspec.Struct):
    """Processor seconds by process and stage, and by process and what was judged; `bare` those of the shortest way, by backend."""

    seconds: float
    stages: dict[str, dict[str, float]]
    subjects: dict[str, dict[str, float]]
    backends: list[str]
    networks: list[str]
    seeds: int
    data: str
    device: str
    threads: int
    bare: dict[str, float] = {}


def bare(profile: Profile, folder: Path | None) -> dict[str, float]:
    """Processor seconds in which each backend builds, compiles and trains the run's networks by the shortest way."""
    data, found = load(profile.data, folder=folder), {}
    trained = [spec for spec in map(Spec.parse, profile.networks) if spec.trained]
    for backend in profile.backends:
        worker = Worker(backend, device=profile.device, threads=profile.threads)
        try:
            seconds = 0.0
            for spec in track(trained, f"networks of {backend}, the shortest way"):
                own = spec.on(backend)
                labels = data.y_train % own.classes
                with contextlib.suppress(WorkerLacks):
                    seconds += worker.call(
                        "bare",
                        float,
                        name=own.id,
                        trainings=profile.seeds,
                        steps=STEPS[data.name],
                        x=data.x_train,
                        labels=labels,
                        device=kind(profile.device),
                    )
            found[backend] = seconds
        finally:
            worker.close()
    return found


def lines(profile: Profile) -> list[str]:
    """The profile as tables."""
    processes = list(profile.stages)
    total = sum(sum(stages.values()) for stages in profile.stages.values())
    together = Counter[str]()
    for stages in profile.stages.values():
        together.update(stages)
    table = [("processor seconds", *processes, "together", "share")]
    for stage, seconds in together.most_common():
        own = [f"{profile.stages[name][stage]:.1f}" if stage in profile.stages[name] else "" for name in processes]
        table.append((stage, *own, f"{seconds:.1f}", f"{seconds / total:.1%}"))
    sums = [f"{sum(profile.stages[name].values()):.1f}" for name in processes]
    table.append(("all", *sums, f"{total:.1f}", f"in {profile.seconds:.0f} s on the clock"))
    by_subject = Counter[str]()
    for subjects in profile.subjects.values():
        by_subject.update(subjects)
    networks = [("the largest", *processes, "together")]
    for subject, seconds in by_subject.most_common(LARGEST):
        networks.append((subject, *(f"{profile.subjects[name].get(subject, 0.0):.1f}" for name in processes), f"{seconds:.1f}"))
    text = [*text_table.lines(table), "", *text_table.lines(networks, widest=48)]
    for backend, least in profile.bare.items():
        spent = sum(seconds for stage, seconds in profile.stages[backend].items() if stage in BARE)
        text += ["", f"{backend}: {least:.1f} s by the shortest way; building, first steps and trainings took {spent:.1f} s here"]
    return text


def data_folder(words: list[str]) -> Path | None:
    """The folder of the run's data, if pytest's words name one, in either way to write it."""
    of_pytest = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    of_pytest.add_argument("--data-dir", type=Path)
    folder: Path | None = of_pytest.parse_known_args(words)[0].data_dir
    return folder


def main(arguments: list[str] | None = None) -> int:
    """Run pytest with its witness, print the tables, and return pytest's status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench profile", description=__doc__, formatter_class=argparse.RawTextHelpFormatter, epilog="other options: pytest's"
    )
    parser.add_argument("--bare", action="store_true", help="train the same networks once more by the shortest way")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="write the numbers as JSON as well")
    given, rest = parser.parse_known_args(arguments)
    if any(word.startswith(("-n", "--numprocesses", "--isolate")) for word in rest):
        parser.error("processes of -n and --isolate are not measured: leave it out.")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spent.json"
        began = time.monotonic()
        status = subprocess.run([sys.executable, "-m", "pytest", "-p", "bench.timing.witness", f"--spent={path}", *rest]).returncode
        seconds = time.monotonic() - began
        if not path.exists():
            print("No worker was asked for anything, so that there is nothing to profile.", file=sys.stderr)
            return status or Status.NOTHING
        profile = msgspec.convert({**json.loads(path.read_bytes()), "seconds": seconds}, Profile)
    if given.bare:
        with shown():
            profile.bare = bare(profile, data_folder(rest))
    print("\n".join(["", *lines(profile)]))
    if given.output:
        try:
            files.write(given.output, msgspec.json.format(msgspec.json.encode(profile), indent=1) + b"\n")
        except WriteError as error:
            print(error, file=sys.stderr)
            return Status.BAD_INPUT
        print(f"\n{given.output}")
    return status


if __name__ == "__main__":
    sys.exit(main())
