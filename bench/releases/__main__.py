"""Which release of a framework breaks what: equalities, gradients and updates on real releases, each in a folder of its own.

`python -m bench releases` installs releases of Keras, or of what `--of` names, runs the same cases on each and prints a table of which
are broken where. A release that needs older packages gets an environment of its own. Installed releases and results are kept, so that a run
that was interrupted goes on at the case where it was; a release that cannot be examined is named below the table. The exit status compares
the first release with the last: 10 if the last breaks what held in the first, 1 if it breaks only what was broken there, 2 if a release
cannot be installed, 14 if one does not start, 0 otherwise. `--issues` runs own models that show real issues, and ends with 1 where one is
green in a release that has the fault, or red in one without it.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench import files
from bench.baselines import known_failures
from bench.baselines.samples import FOLDER as BASELINES
from bench.evidence import admission
from bench.exit_status import Status, ends_with
from bench.files import WriteError
from bench.metamorphic import EQUALITIES
from bench.progress import say, shown, track
from bench.releases import breaks, own, record
from bench.releases.examine import FOLDER, Examined, examine
from bench.releases.line import LINES, Line, parted
from bench.releases.record import NOT_EXAMINED, RecordError
from bench.releases.table import changes, healthy, page, places, status, table
from bench.versions.requirements import VersionsError
from bench.versions.runs import Failure
from models.spec import SpecError
from models.worker.devices import DeviceError, refuse_unknown
from models.worker.process import WorkerError


@ends_with(Status.BAD_INPUT, WriteError, RecordError)
def main(arguments: list[str] | None = None) -> Status:
    """Examine releases and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench releases", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--of", choices=list(LINES), help="whose releases, on what: keras_on_jax is Keras on JAX (default: keras)")
    parser.add_argument("--releases", help="comma-separated releases, the oldest first (default: those of the committed table)")
    parser.add_argument("--only", action="append", metavar="CASE", help="only this equality, network or CHECK@NETWORK; may be repeated")
    on = {line.backend: name for name, line in LINES.items() if line.package == "keras"}
    parser.add_argument("--backend", choices=list(on), help="Keras's releases on this backend: the same as --of=keras, keras_on_torch, …")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:0 (default: cpu)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"where releases and results are kept (default: {FOLDER})")
    parser.add_argument("--fresh", action="store_true", help="run again what was run before")
    parser.add_argument("--write", action="store_true", help="put what was seen into the record in baselines/, and draw its page again")
    parser.add_argument("--recorded", action="store_true", help="print what is recorded, and run nothing")
    parser.add_argument("--issues", action="store_true", help="real issues by the gauges that show them; --only=NUMBER or a gauge's name")
    parser.add_argument("--breaks", action="store_true", help="write baselines/breaks.md from the known failures, and run nothing")
    chosen = parser.parse_args(arguments)
    if chosen.breaks:
        print(files.write(BASELINES / breaks.FILE, breaks.page(known_failures.read())))
        return Status.SAME
    if chosen.issues:
        return _issues(chosen)
    if chosen.of and chosen.backend and on[chosen.backend] != chosen.of:
        return _refused(f"--backend={chosen.backend} is --of={on[chosen.backend]}, and --of={chosen.of} was asked for: say one of them.")
    line = LINES[chosen.of or on.get(chosen.backend, "keras")]
    if chosen.write and chosen.device != "cpu":
        return _refused("The record is of a CPU: leave out --write or --device.")
    cases = chosen.only or line.cases
    try:
        refuse_unknown(chosen.device)
        for network in filter(None, (parted(case)[1] for case in cases)):
            admission.network(network)
    except DeviceError as error:
        return _refused(str(error))
    except SpecError as error:
        return _refused(f"--only: {error} Or name an equality: {', '.join(EQUALITIES)}.")
    if not all(asked := line.releases if chosen.releases is None else [each.strip() for each in chosen.releases.split(",")]):
        return _refused(f"--releases={chosen.releases} names no release: write them with commas, such as {','.join(line.releases[-2:])}.")
    if chosen.write and (other := [each for each in (*asked, *cases) if each not in (*line.releases, *line.cases)]):
        return _refused(f"{other[0]} is not in the table that --write adds to: leave out --write, or put it into bench/releases/line.py.")
    known, failed = known_failures.read(), Status.SAME
    if chosen.recorded:
        recorded = record.read(line, cases)
        results = {release: recorded.get(release, NOT_EXAMINED) for release in asked}
    else:
        results, failed = _examined(line, asked, cases, chosen)
        if chosen.write:
            record.merge(line, results)
    if chosen.write:
        whole = record.read(line, line.cases)
        if any(examined.cases for examined in whole.values()):
            files.write(BASELINES / line.file, page(whole, line, known))
    if all(examined.why_not for examined in results.values()):
        return failed if failed != Status.SAME else _refused(f"{record.path_of(line)} has none of these releases.", Status.NOTHING)
    print("\n".join([*table(results), "", healthy(results), "", *changes(results), "", *places(results, line, known)]))
    return failed if failed != Status.SAME else status(results)


def _issues(chosen: argparse.Namespace) -> Status:
    """The gauges of real issues, in releases that have each and in those that do not."""
    found, wrong = own.Found(), list[str]()
    for issue, cell in [] if chosen.recorded else track(own.asked(chosen.only or []), "gauges"):
        result = own.run(issue, cell)
        if isinstance(result, Failure):
            wrong.append(result.sentence)
            continue
        found[cell.name] = result
        wrong += filter(None, [own.otherwise(issue, cell, result)])
        say(f"{issue.number} in {cell.requirements}: {', '.join(red.check for red in result.red) or 'green'}")
        if chosen.write:  # at once, so that what was judged is kept
            own.write(found)
    found = own.read() if chosen.recorded else found
    print(own.page(found))
    if not found:
        return _refused("No issue was judged: --only takes a number such as 'keras #20276', or a gauge's name.", Status.NOTHING)
    return _refused(" ".join(wrong), Status.FAILING) if wrong else Status.SAME


def _examined(line: Line, asked: Sequence[str], cases: list[str], chosen: argparse.Namespace) -> tuple[dict[str, Examined], Status]:
    """What each release did, and the status of the last one that could not be examined."""
    results, failed = dict[str, Examined](), Status.SAME
    for release in track(asked, "releases"):
        began = time.monotonic()
        try:
            results[release] = examine(line, release, cases, chosen.folder, fresh=chosen.fresh, device=chosen.device)
        except (VersionsError, WriteError, WorkerError, OSError) as error:
            results[release] = Examined(why_not=" ".join(str(error).split()))
            failed = _refused(
                f"{line.named(release)} could not be examined: {error}",
                Status.ENVIRONMENT if isinstance(error, WorkerError | OSError) else Status.BAD_INPUT,
            )
            continue
        broken = [case for case, seen in results[release].cases.items() if seen.broken]
        say(f"{line.named(release)}: {', '.join(broken) or 'nothing breaks'} ({time.monotonic() - began:.0f} s)")
    return results, failed


def _refused(sentence: str, status: Status = Status.BAD_INPUT) -> Status:
    say(sentence)
    return status


if __name__ == "__main__":
    with shown():
        sys.exit(main())
