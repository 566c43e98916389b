"""Train the published experiments on deep networks again, in each framework, and judge them against what was recorded.

Without a name all experiments are listed. Finished cells are kept in .gradgauge/experiments, so that a run that was ended goes on where it
was. The exit status is 0 where nothing is worse than recorded, 10 where something is, 1 where something is higher than recorded, 11 where
the record cannot tell, 2 for bad input, 14 where a process crashed, 130 if interrupted.
"""

from __future__ import annotations

import argparse
import datetime
import os
import re
import signal
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from bench import files, imported
from bench.arguments import at_least
from bench.baselines.samples import Recording
from bench.exit_status import Status, ends_with, most_serious
from bench.experiments import page, predictions, record
from bench.experiments.catalogue import EXPERIMENTS
from bench.experiments.cell import Cell, Row, cells, waves
from bench.experiments.experiment import BACKENDS, Experiment, LeftOut, Seen
from bench.experiments.judge import judge, judge_in_time, overall
from bench.experiments.on_ray import RayPool
from bench.experiments.page import PICTURES
from bench.experiments.progress import Progress
from bench.experiments.record import RecordError, Result, Results
from bench.experiments.sources import Sources, sources
from bench.experiments.train import Pool
from bench.files import WriteError
from bench.progress import say, shown, track
from bench.report import text_table
from bench.store import Store
from fixtures.data.datasets import DataError
from fixtures.machine.fingerprint import fingerprint, judge_on_one_thread
from models.backends.registry import BackendError, named
from models.fields import nearest
from models.spec import SpecError
from models.worker.devices import DeviceError, refuse_unknown

STORE = Path(".gradgauge") / "experiments"
CODE = ("models.worker.server",)
"""What a result depends on, beside its cell and the versions of the frameworks."""
QUICK, FULL = "digits", "mnist"
PACKAGES = ("torch", "keras", "tensorflow", "tensorflow-cpu", "jax", "numpy")


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m bench experiment", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    made.add_argument("name", nargs="?", help="which experiment; without it all are listed")
    made.add_argument("--data-dir", default=os.environ.get("GRADGAUGE_MNIST"), metavar="DIR", help="folder with MNIST")
    made.add_argument("--quick", action="store_true", help="a small form of it on digits, in less than a minute")
    made.add_argument("-n", type=at_least(1), default=_free_cores(), metavar="N", help="cells at a time (default: the cores that are idle)")
    made.add_argument("--backend", default=",".join(BACKENDS), help=f"which frameworks (default: {','.join(BACKENDS)})")
    made.add_argument("--device", default="cpu")
    made.add_argument("--ray", metavar="ADDRESS", help="train on this Ray cluster; local starts one here, of -n workers")
    made.add_argument("--seeds", type=at_least(1), metavar="N", help="instead of each row's own number")
    made.add_argument("--epochs", type=at_least(1), metavar="N", help="instead of each row's own number; such cells are recorded apart")
    made.add_argument("--only", default="", metavar="WORDS", help='cells in whose name all these words are, such as "depth=40 keras"')
    made.add_argument("--record", metavar="WHY", help="put all finished cells of this experiment into its record")
    made.add_argument("--finished", action="store_true", help="train nothing more: show, judge and record what is finished")
    made.add_argument("--predict", action="store_true", help="train nothing: write down what theory says of each row, before it is trained")
    made.add_argument("--table", action="store_true", help="train nothing: print the table of the record")
    made.add_argument("--plot", nargs="?", const=PICTURES, type=Path, metavar="DIR", help="train nothing: draw the pictures of the record")
    made.add_argument("--page", action="store_true", help="train nothing: put tables and pictures of the record into README.md here")
    made.add_argument("--baselines", type=Path, default=record.FOLDER, metavar="DIR", help="where records are")
    made.add_argument("--predictions", type=Path, default=predictions.PATH, metavar="FILE", help="where predictions are")
    made.add_argument("--store", type=Path, default=STORE, metavar="DIR", help="where finished cells are kept")
    return made


def _free_cores() -> int:
    """Cores that nothing has used in the last minute, one at least."""
    cores = os.cpu_count() or 1
    return max(1, min(cores, round(cores - os.getloadavg()[0])))


@ends_with(Status.BAD_INPUT, SpecError, DataError, BackendError, DeviceError, RecordError, WriteError)
def main(arguments: list[str] | None = None) -> Status:
    """List, or show, or train and judge."""
    options = _parser().parse_args(arguments)
    if options.name is None:
        rows = [["experiment", "what it answers", "cost"]]
        rows += [[each.name, each.question, each.cost] for each in EXPERIMENTS.values()]
        print("\n".join(text_table.lines(rows)))
        return Status.SAME
    if options.name not in EXPERIMENTS:
        raise SpecError(f"{options.name} is no experiment{nearest(options.name, EXPERIMENTS)}: use one of {', '.join(EXPERIMENTS)}.")
    experiment = EXPERIMENTS[options.name]
    if options.predict:
        return _predict(experiment, options)
    if options.table or options.plot or options.page:
        return _show(experiment, options)
    return _run(experiment, options)


def _show(experiment: Experiment, options: argparse.Namespace) -> Status:
    name = _name(experiment, options.quick)
    content = record.read(name, options.baselines)
    if content is None:
        raise RecordError(f"Nothing is recorded of {name} in {options.baselines}: train it with --record first.")
    shown = replace(experiment, rows=tuple(_rows(experiment, options)))
    if options.table:
        print("\n".join(page.tables(shown, content)))
    if options.plot:
        print("\n".join(map(str, page.pictures(shown, content, options.plot))))
    if options.page:
        print("\n".join(map(str, [*page.pictures(experiment, content, PICTURES), page.write(experiment, content)])))
    return Status.SAME


def _predict(experiment: Experiment, options: argparse.Namespace) -> Status:
    judge_on_one_thread()
    known = predictions.read(options.predictions)
    rows = list(dict.fromkeys(cell.row for cell in _chosen(cells(_rows(experiment, options), BACKENDS[:1]), options.only)))
    new = [row for row in rows if row.network not in known]
    data = _data(new, options)
    with shown():
        found = [(row, predictions.foresee(row, data[row.data])) for row in track(new, "predictions")]
    print(f"{predictions.write(found, options.predictions)}: {len(found)} new, {len(rows) - len(found)} stood there already")
    return Status.SAME


def _rows(experiment: Experiment, options: argparse.Namespace) -> list[Row]:
    """The experiment's rows, with the user's numbers of seeds and epochs."""
    given = {name: value for name in ("seeds", "epochs") if (value := getattr(options, name)) is not None}
    return [replace(row, **given) for row in (experiment.quick if options.quick else experiment.rows)]


def _data(rows: Iterable[Row], options: argparse.Namespace) -> Sources:
    return sources(rows, QUICK if options.quick else FULL, options.data_dir and Path(options.data_dir))


def _name(experiment: Experiment, quick: bool) -> str:
    return f"{experiment.name}-quick" if quick else experiment.name


def _run(experiment: Experiment, options: argparse.Namespace) -> Status:
    if options.record is not None and not options.record.strip():
        raise RecordError('A recording needs a reason that a reviewer can read: --record "why".')
    refuse_unknown(options.device)
    judge_on_one_thread()
    name, usual = _name(experiment, options.quick), QUICK if options.quick else FULL
    data_name = ", ".join(dict.fromkeys(row.data or usual for row in (experiment.quick if options.quick else experiment.rows)))
    known = record.read(name, options.baselines)
    wanted = _chosen(cells(_rows(experiment, options), named(options.backend)), options.only)
    data = _data([cell.row for cell in wanted], options)
    for cell in wanted:
        cell.spec(data[cell.row.data])
    environment = fingerprint(options.device, 1)
    versions = {package: environment[package] for package in PACKAGES if package in environment}
    files.folder(options.store)  # what cannot be kept is not trained
    store = Store(options.store / f"{name}.jsonl", Result, imported.digest(CODE, (versions, options.device, data_name)))
    left = [cell for cell in wanted if cell.key not in store]
    if len(left) < len(wanted):
        say(f"{name}: {len(wanted) - len(left)} of {len(wanted)} cells are finished already ({store.path})")
    others = known.cells if known else {}
    failed, interrupted = _train(name, experiment.left_out, [] if options.finished else left, others, data, store, options)
    done = {cell: store[cell.key] for cell in wanted if cell.key in store}
    seen = Seen([*dict.fromkeys(cell.row for cell in wanted)], {cell.key: result for cell, result in done.items()}, {**others, **store})
    print("\n".join(experiment.tables(seen)))
    status = _judged(done, known)
    if options.record is not None and done:
        when = datetime.datetime.now(datetime.UTC).date().isoformat()
        new = {cell.key: result for cell, result in done.items() if not (known and _same(known.cells.get(cell.key), result))}
        recording = Recording(options.record.strip(), when, len(new), environment)
        count = record.merge(name, new, recording, data_name, options.baselines) if new else len(known.cells if known else ())
        print(f"{record.path_of(name, options.baselines)}: {count} cells, {len(new)} of them new")
        status = Status.SAME
    for reason in dict.fromkeys(failed.values()):
        without = [cell for cell, why in failed.items() if why == reason]
        print(f"{len(without)} cells were not trained, such as {without[0].key}: {reason}", file=sys.stderr)
    more = ({Status.ENVIRONMENT} if failed else set()) | ({Status.INTERRUPTED} if interrupted else set())
    return most_serious({status if done else Status.NOTHING} | more)


def _same(old: Result | None, new: Result) -> bool:
    """Whether a result is recorded already."""
    return old is not None and (old.accuracy, old.loss, old.ms_a_step) == (new.accuracy, new.loss, new.ms_a_step)


def _judged(done: dict[Cell, Result], known: record.File | None) -> Status:
    """Say what the record says of this run."""
    judged = judge(done, known.cells) if known else []
    settings = {cell.setting for cell in done}
    for each in judged:
        print(each)
    if unrecorded := len(settings) - len(judged):
        print(f'nothing recorded for {unrecorded} of {len(settings)} networks, so that nothing is judged there: --record "why" records')
    in_time = judge_in_time(done, known.cells) if known else []
    for each in in_time:
        if each.status != Status.SAME:
            print(each)
    if in_time:
        same = sum(each.status == Status.SAME for each in in_time)
        print(f"gradients through time before training: {same} of {len(in_time)} as recorded")
    return overall([*judged, *in_time])


def _train(
    name: str, left_out: LeftOut | None, left: list[Cell], known: Results, data: Sources, store: Store[Result], options: argparse.Namespace
) -> tuple[dict[Cell, str], bool]:
    """Train what is left; which cells failed and why, and whether the user ended it. What is finished is kept either way.

    Where a row may be left out by what is `known` or was trained before it, cells of one seed and depth are trained at a time.
    """
    progress = Progress(name, left)
    failed: dict[Cell, str] = {}
    unasked: dict[Cell, str] = {}

    def keep(cell: Cell, result: Result) -> None:
        store.keep(cell.key, result)
        progress.finished(cell, len(result.accuracy))

    given = data, options.device, progress.epoch, keep
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for wave in waves(left) if left_out else filter(None, [left]):
            there = {**known, **store}
            out = {cell: why for cell in wave if left_out and (why := left_out(cell.row, there))}
            for cell in out:
                progress.finished(cell, 0)
            unasked |= out
            if asked := [cell for cell in wave if cell not in out]:
                pool = RayPool(options.ray, *given) if options.ray else Pool(*given)
                try:
                    pool.run(asked, min(options.n, len(asked)))
                finally:
                    failed |= pool.failed
    except KeyboardInterrupt:
        say(f"{name}: interrupted; finished cells are kept, and the same command goes on")
        return failed, True
    finally:
        signal.signal(signal.SIGTERM, before)
    if unasked:
        first, why = next(iter(unasked.items()))
        say(f"{name}: {len(unasked)} cells are left out, such as {first.row.label}, {first.row.axis} {first.row.depth}: its row {why}")
    return failed, False


def _chosen(all_cells: list[Cell], only: str) -> list[Cell]:
    """Those in whose name all words are. Raises SpecError where there is none."""
    words = [re.compile(re.escape(word) + r"(?!\d)") for word in only.split()]  # depth=10 is no depth=100
    found = [cell for cell in all_cells if all(w.search(f"{cell.row.label} {cell.row.axis}={cell.row.depth} {cell.key}") for w in words)]
    if not found:
        raise SpecError(f"--only={only!r} fits no cell: the first one is {all_cells[0].row.label!r}, {all_cells[0].key!r}.")
    return found


if __name__ == "__main__":
    sys.exit(main())
