"""Every command of gradgauge: `python -m bench` lists them, `python -m bench COMMAND --help` shows the options of one."""

import difflib
import os
import runpy
import select
import sys
from collections.abc import Iterator
from typing import NamedTuple

from bench.exit_status import Status


class Command(NamedTuple):
    """A module that `python -m` runs, what it does, and arguments that come before the user's."""

    module: str
    summary: str
    first: tuple[str, ...] = ()


GROUPS: dict[str, dict[str, Command]] = {
    "judge": {
        "run": Command("pytest", "train, judge and time networks: the main job, with the options of pytest"),
        "doctor": Command("bench.doctor", "what this machine has, and whether each framework computes on it"),
        "matrix": Command("models.matrix", "which networks there are, and which pairs are left out and why"),
        "promises": Command("bench.promises", "what documentation promises, and the law that tests each promise"),
        "theory": Command("bench.theory", "predicted gradients of one network, with diagnosis and remedies"),
    },
    "compare": {
        "compare": Command("bench.compare", "what is worse, better or gone between two records"),
        "schema": Command("bench.report.record_file", "the JSON Schema of a record"),
        "versions": Command("bench.versions", "the networks in several releases: versions × checks"),
        "script": Command("bench.versions.script", "a short script that shows a wrong gradient of your model without this suite"),
        "releases": Command("bench.releases", "which release of PyTorch, Keras, TensorFlow or JAX breaks what"),
        "duet": Command("bench.timing.duet", "which of two environments, frameworks or modes takes longer"),
        "aa": Command("bench.timing.duet", "the same on both sides of a duet: the margins of this machine", ("--aa",)),
        "history": Command("bench.timing.history", "all duets so far: trend, changes and drift"),
        "bisect": Command("bench.timing.bisect", "the release that changed a step time or a number"),
        "experiment": Command("bench.experiments", "published experiments on deep networks at full size, trained again and judged"),
        "profile": Command("bench.timing.profile", "where the processor time of a run goes, by stage, process and network"),
        "overhead": Command("bench.selftest.studies.overhead", "what the recording of gradients costs"),
    },
    "prove": {
        "selftest": Command("pytest", "the tests of the suite itself, with the options of pytest", ("bench/selftest", "-m", "not slow")),
        "kill-grid": Command("bench.selftest.kill_grid", "plant every fault: which check catches it"),
        "twins": Command("bench.selftest.twin_grid", "made-up GPUs: core matrix, equalities and planted faults on each"),
        "device-faults": Command("bench.selftest.device_faults", "plant faults on a GPU: each is caught there as on the CPU"),
        "power": Command("bench.selftest.power", "the smallest error that is caught, network by network"),
        "false-alarms": Command("bench.selftest.false_alarms", "how often a healthy framework is called broken"),
        "laws": Command("bench.selftest.laws", "the laws of promises: false alarms, smallest errors, processor time"),
        "executions": Command("bench.selftest.studies.executions", "whether trainings hold on other threads, instructions and load"),
        "random-networks": Command("bench.selftest.random_networks", "networks drawn at random: none may be red, crash or hang"),
        "full-matrix": Command("bench.selftest.full_matrix", "every network of the full matrix, part by part: none may be red"),
        "hostile": Command("bench.selftest.hostile", "bad input through the real command lines: each is refused in a sentence"),
        "disturbed": Command("bench.selftest.disturbed", "small runs under signals, full disks, other users and odd clocks"),
        "mutants": Command("bench.selftest.mutants", "mutants of the judges: which the self-tests notice"),
        "duet-study": Command("bench.selftest.studies.duet.study", "measure series with planted slowdowns"),
        "duet-power": Command("bench.selftest.studies.duet.power", "error rates of duets on these series"),
        "accuracy": Command("bench.selftest.studies.theory_accuracy", "predicted against measured gains of random networks"),
        "gated-theory": Command("bench.selftest.studies.gated_theory", "predicted against measured gradients through time of gated cells"),
        "own-models": Command("bench.selftest.studies.own_models", "users' own models: false alarms, smallest errors, planted faults"),
        "packaged-models": Command("bench.selftest.studies.packaged", "models of timm, diffusers, keras-hub: planted faults, false alarms"),
        "other-tools": Command("bench.selftest.studies.other_tools", "what gradcheck, assert_close and others say of the same faults"),
        "long-sequences": Command("bench.selftest.studies.long_sequences", "time and memory of a step through 1,000 time steps"),
        "images": Command("bench.selftest.studies.images", "draw the pictures of README again from the record of a core run"),
        "literature": Command("bench.selftest.studies.literature", "measure published results on deep networks again"),
    },
}
COMMANDS = {name: command for group in GROUPS.values() for name, command in group.items()}
HELP = "-h", "--help"


def overview() -> Iterator[str]:
    """Every command with one line."""
    yield "usage: python -m bench COMMAND [OPTIONS]\n"
    width = max(map(len, COMMANDS))
    for group, commands in GROUPS.items():
        yield f"{group}:"
        yield from (f"  {name:<{width}}  {command.summary}" for name, command in commands.items())
    yield "\npython -m bench COMMAND --help shows the options of one command."


def _has_no_reader() -> bool:
    """Whether what read the output has ended, as `head` does; what is still to be written is then dropped."""
    ends = select.poll()
    ends.register(sys.stdout.fileno(), 0)
    if not ends.poll(0):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return True


def main() -> int:
    """Run the command that the first argument names, or list them all; Status.BAD_INPUT for an unknown name."""
    name, *rest = sys.argv[1:] or ["--help"]
    if name not in (*HELP, *COMMANDS):
        near = difflib.get_close_matches(name, COMMANDS, n=1, cutoff=0.4)
        meant = f"did you mean {near[0]}? All are listed" if near else "all are listed"
        print(f"{name} is no command: {meant} by python -m bench.", file=sys.stderr)
        return Status.BAD_INPUT
    try:
        try:
            if name in HELP:
                print("\n".join(overview()))
            else:
                sys.argv[1:] = [*COMMANDS[name].first, *rest]
                # Late, because statistics and plotting take seconds to import.
                runpy.run_module(COMMANDS[name].module, run_name="__main__", alter_sys=True)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        if not _has_no_reader():
            raise
        return Status.INTERRUPTED
    except ModuleNotFoundError as error:
        print(f"{error.name} is not installed here: activate an environment first, as `. .tox/cpu/bin/activate` does.", file=sys.stderr)
        return Status.ENVIRONMENT
    return Status.SAME


if __name__ == "__main__":
    sys.exit(main())
