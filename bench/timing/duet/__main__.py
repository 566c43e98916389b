"""Compare the step time of two sides on a noisy machine: is b slower or faster than a, the same, or can this machine not tell?

A side is requirements ("keras==3.12.0"), a framework, a mode ("torch --compile"), or the Python of an environment, or several of
these. The exit status is 0 same, 10 slower, 11 inconclusive, 12 nothing measured, 13 faster, 14 environment error, 2 bad input,
130 interrupted (bench/exit_status.py); verdicts and every raw block go to .gradgauge/duets.
"""

import argparse
import datetime
import math
import signal
import sys
from dataclasses import replace
from pathlib import Path

from bench import files
from bench.evidence import admission
from bench.exit_status import Status, ends_with
from bench.files import WriteError
from bench.progress import say
from bench.report import texts
from bench.report.record import RecordError
from bench.timing.cases import networks
from bench.timing.duet import calibration, plan, record, render, sides
from bench.timing.duet.calibration import Calibration, margins_of
from bench.timing.duet.gpu import GpuError, Watch
from bench.timing.duet.metrics import METRICS
from bench.timing.duet.plan import BUDGET, SLICE, Duet
from bench.timing.duet.statistics import FRESH, LEAST
from bench.timing.duet.verdict import STATUS, overall
from bench.versions.requirements import NOTHING_BESIDE, VersionsError, read_beside
from fixtures.data.datasets import load
from fixtures.machine.fingerprint import fingerprint, judge_on_one_thread
from models.backends.registry import BackendError
from models.matrix import CASES
from models.own.address import own_models
from models.own.gauge import OwnError
from models.spec import SpecError
from models.worker.devices import DeviceError, refuse_threads, refuse_unknown


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m bench duet", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    made.add_argument("--a", help="one side: what b is compared with")
    made.add_argument("--b", help="the other side")
    made.add_argument("--aa", nargs="?", const=sys.executable, metavar="SIDE", help="the same on both sides, to calibrate this machine")
    made.add_argument("--cases", choices=CASES, default="smoke", help="networks: the reference network, core or full (default: smoke)")
    made.add_argument("--network", action="append", metavar="ID", help="this network instead; may be repeated")
    made.add_argument(
        "--model", action="append", metavar="ADDRESS", help="a model of your own instead, as pytest takes it; may be repeated"
    )
    made.add_argument("--with", type=Path, dest="beside", metavar="FILE", help="a requirements.txt of yours: what built sides have besides")
    made.add_argument("--device", default="cpu")
    made.add_argument("--threads", type=int, default=1)
    made.add_argument("--budget", type=float, default=BUDGET, metavar="S", help=f"seconds of rounds per case (default: {BUDGET:.0f})")
    made.add_argument("--slice", type=float, default=SLICE, metavar="S", help=f"of these in each restart (default: {SLICE:g})")
    made.add_argument(
        "--margin", action="append", default=[], metavar="[CASE.]METRIC=SHARE", help=f"a margin; METRIC is one of {', '.join(METRICS)}"
    )
    made.add_argument("--planted", type=float, default=1.0, metavar="X", help="let steps of b take X times as long: is that found here?")
    made.add_argument("--record-dir", type=Path, default=record.FOLDER)
    made.add_argument("--junit", type=Path, metavar="FILE")
    return made


@ends_with(Status.ENVIRONMENT, GpuError)
@ends_with(Status.BAD_INPUT, OwnError, VersionsError, SpecError, WriteError, RecordError, BackendError, DeviceError)
def main(arguments: list[str] | None = None) -> Status:
    """Build both sides, measure, judge, write, print."""
    options = _parser().parse_args(arguments)
    judge_on_one_thread()
    try:
        return _run(options)
    except KeyboardInterrupt:
        say("Interrupted before anything was measured.")
        return Status.INTERRUPTED


def _run(options: argparse.Namespace) -> Status:
    a, b = options.aa or options.a, options.aa or options.b
    if not (a and b) or (options.aa and (options.a or options.b)):
        raise SpecError("A duet has two sides, --a and --b; --aa is for the same on both.")
    fewest = LEAST + FRESH
    if not 0 < fewest * options.slice <= options.budget < math.inf:
        raise SpecError(f"--budget must hold {fewest} restarts of --slice seconds, the fewest that find a slowdown and confirm it.")
    if not 1 <= options.planted <= 2:
        raise SpecError(f"--planted={options.planted:g} must be at least 1 and at most 2: 1.05 makes steps take 5 % longer.")
    refuse_unknown(options.device)
    refuse_threads(options.threads)
    environment = fingerprint(options.device, options.threads)
    machine = f"{environment['processor']} × {environment['cores']} {environment.get('GPU', options.device)}"
    known = None if options.aa else calibration.read(options.record_dir, machine)
    restarts = int(options.budget / options.slice)
    margins = margins_of(options.margin, known, restarts)
    models = own_models(options.model, Path.cwd()) if options.model else []
    specs = tuple(map(admission.network, options.network or ([] if models else networks(options.cases))))
    for spec in specs:
        admission.refuse_too_large(spec, 2 * admission.weight(spec, seeds=0), "choose a smaller network")
    beside = NOTHING_BESIDE if options.beside is None else read_beside(options.beside)
    one, other = (sides.parse(text, options.device, beside) for text in (a, b))
    watch = Watch(options.device) if options.device != "cpu" else None
    say("environments: built where they are not there yet, which takes minutes once")
    cases = sides.cases(one, other, [*models, *specs], device=options.device, threads=options.threads)
    cases = [replace(case, b=replace(case.b, slowdown=options.planted)) for case in cases]
    duet = Duet(cases, margins)
    if not known and not options.aa:
        duet.notes.append("Margins are the general ones: tox -e aa measures this machine's own.")
    when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    interrupted = _until_interrupted(duet, options, watch)
    for name in sorted({reason for series in duet.series for reason in series.dropped}):
        duet.notes.append(f"{sum(s.dropped.get(name, 0) for s in duet.series)} rounds were dropped: {name}.")
    duet.notes += watch.notes() if watch else []
    judged = duet.judged()
    past = record.Past(when, a, b, machine, duet.versions, record.outcomes(judged))
    status = Status.INTERRUPTED if interrupted else STATUS[overall(judged)]
    if options.aa and status == Status.INCONCLUSIVE:  # what equal sides leave open is what margins are made of, and no failure
        status = Status.SAME
    path = record.write(options.record_dir, past, judged, duet.series, environment, status)
    if options.junit:
        files.write(options.junit, render.junit(judged))
    if options.aa and not interrupted:
        measured = [each for each in duet.tests if len(each.log_ratios) >= LEAST]
        seen = Calibration(machine, when, [calibration.spread(each.case, each.metric, duet.log_ratios(each)) for each in measured])
        if measured:
            calibration.write(options.record_dir, seen)
        for each in measured:
            margin = seen.margin(each.case, each.metric, restarts)
            duet.notes.append(f"margin of {each.metric} of {each.case}: {100 * margin:.1f} % with {restarts} restarts")
    print(render.text(judged, _described(a, duet, 0), _described(b, duet, 1), duet.notes))
    print(path)
    return status


def _until_interrupted(duet: Duet, options: argparse.Namespace, watch: Watch | None) -> bool:
    """Measure; whether it was interrupted, by Ctrl-C or by SIGTERM. Workers are gone either way."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        plan.run(duet, load(), budget=options.budget, piece=options.slice, until_decided=not options.aa, watch=watch)
    except KeyboardInterrupt:
        duet.notes.append("Interrupted: this is what was measured until then.")
        return True
    finally:
        signal.signal(signal.SIGTERM, before)
    return False


def _described(text: str, duet: Duet, side: int) -> str:
    versions = duet.versions[side] if len(duet.versions) > side else {}
    return f"{text}  ({texts.library(versions, ', ')})" if versions else text


if __name__ == "__main__":
    sys.exit(main())
