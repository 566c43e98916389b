"""Which Keras release breaks what: equalities and gradient parity on real releases, each in a folder of its own.

`python -m bench.releases` installs every release, runs the same cases on each and prints a table of which are broken where. Releases
before 3.1 need an older TensorFlow, which gets an environment of its own. Installed releases and results are kept, so that a run that
was interrupted goes on at the case where it was. The exit status compares the first release with the last: 10 if the last breaks what
held in the first, 1 if it breaks only what was broken there, 2 if a release cannot be installed, 14 if one does not start, 0 otherwise.
"""

import argparse
import sys
import time
from pathlib import Path

from bench import files
from bench.baselines.samples import FOLDER as BASELINES
from bench.evidence import admission
from bench.exit_status import Status, ends_with
from bench.files import WriteError
from bench.metamorphic import EQUALITIES
from bench.progress import say, shown, track
from bench.releases.examine import FOLDER, Examined, examine
from bench.releases.table import changes, numbers, page, status, table
from bench.versions.environments import VersionsError
from models.backends.registry import BACKENDS
from models.spec import SpecError
from models.worker.devices import DeviceError, refuse_unknown
from models.worker.process import WorkerError

TABLE = BASELINES / "keras_releases.md"
RELEASES = ("3.0.1", "3.0.2", "3.0.5", "3.4.1", "3.5.0", "3.6.0", "3.7.0", "3.9.2", "3.10.0", "3.13.2", "3.14.1", "3.15.1")
EQUAL = (
    "micro_batches_schedule", "micro_batches_average", "loss_scaling", "averaged_weights", "reported_train_on_batch",
    "reported_test_on_batch", "reported_fit", "reported_evaluate", "iterations", "steps_per_execution", "penalty_once",
    "early_stopping_again", "refused", "half_precision_norm", "function_in_function", "traces", "memory",
)  # fmt: skip
"""Equalities that some release is known to break; `--only` takes any other."""
NETWORKS = ("norm=layer,depth=4", "norm=group,depth=4", "norm=batch,depth=4", "norm=batch,depth=4,input=shifted")


@ends_with(Status.BAD_INPUT, WriteError)
def main(arguments: list[str] | None = None) -> Status:
    """Examine releases and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench releases", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--releases", default=",".join(RELEASES), help="comma-separated Keras releases, the oldest first")
    parser.add_argument("--only", action="append", metavar="CASE", help="only this equality or network; may be repeated")
    on = [name for name, row in BACKENDS.items() if row.conventions == "keras"]
    parser.add_argument("--backend", default="keras", choices=on, help="keras (TensorFlow), keras-torch or keras-jax")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:0 (default: cpu)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"where releases and results are kept (default: {FOLDER})")
    parser.add_argument("--fresh", action="store_true", help="run again what was run before")
    parser.add_argument("--write", action="store_true", help=f"write the page to {TABLE.relative_to(BASELINES.parent)}, too")
    chosen = parser.parse_args(arguments)
    cases, results = chosen.only or [*EQUAL, *NETWORKS], dict[str, Examined]()
    try:
        refuse_unknown(chosen.device)
        for network in (case for case in cases if case not in EQUALITIES):
            admission.network(network)
    except DeviceError as error:
        return _refused(str(error))
    except SpecError as error:
        return _refused(f"--only: {error} Or name an equality: {', '.join(EQUALITIES)}.")
    for release in track(chosen.releases.split(","), "releases"):
        began = time.monotonic()
        try:
            results[release] = examine(release, chosen.backend, cases, chosen.folder, fresh=chosen.fresh, device=chosen.device)
        except (VersionsError, WriteError) as error:
            return _refused(f"Keras {release} could not be examined: {error}")
        except (WorkerError, OSError) as error:
            return _refused(f"Keras {release} could not be examined: {error}", Status.ENVIRONMENT)
        broken = [case for case, seen in results[release].cases.items() if seen.broken]
        say(f"Keras {release}: {', '.join(broken) or 'nothing breaks'} ({time.monotonic() - began:.0f} s)")
    print("\n".join([*table(results), "", *changes(results), "", *numbers(results)]))
    if chosen.write:
        files.write(TABLE, page(results))
    return status(results)


def _refused(sentence: str, status: Status = Status.BAD_INPUT) -> Status:
    say(sentence)
    return status


if __name__ == "__main__":
    with shown():
        sys.exit(main())
