"""Run the matrix in several releases and print versions × checks, with what broke where.

Each SET of requirements replaces the project's own of the same names: keras==3.12.0, or in quotes several at once,
"keras==3.0.2 tensorflow-cpu==2.16.2 numpy<2". Environments and results are kept in .gradgauge, so that a run that was
interrupted goes on where it was; from the first other option on, everything is handed to pytest (--cases=smoke, -k …).
The exit status compares the first set with the last: 10 if something is worse in the last, 1 if a check fails there as it did
before (or there is one set), 11 if times cannot tell, 12 if nothing was judged, 2 if a set could not be installed, 14 if a run
left no record, and 0 otherwise.
"""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from bench.exit_status import Status, ends_with
from bench.files import WriteError
from bench.report.record import Record
from bench.versions import runs, table, upgrade
from bench.versions.environments import GPU, GROUP, VersionsError, Wanted
from models.worker.devices import DeviceError, refuse_unknown

OWN = ("-n", "--fresh", "-h", "--help")


@ends_with(Status.BAD_INPUT, VersionsError, WriteError, DeviceError)
def main(arguments: list[str] | None = None) -> Status:
    """Build, run, print."""
    words = sys.argv[1:] if arguments is None else arguments
    cut = next((place for place, word in enumerate(words) if word.startswith("-") and word.partition("=")[0] not in OWN), len(words))
    parser = argparse.ArgumentParser(prog="python -m bench versions", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("sets", nargs="+", metavar="SET", help="requirements to run with, one column each, the oldest first")
    parser.add_argument(
        "-n", type=int, default=1, metavar="RUNS", help="runs at a time, as memory allows; with more than one, nothing is timed"
    )
    parser.add_argument("--fresh", action="store_true", help="run again what was run before")
    given = parser.parse_args(words[:cut])
    options = words[cut:]
    of_pytest = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    of_pytest.add_argument("--device", default="cpu")
    of_pytest.add_argument("--report")
    of_pytest.add_argument("--record-dir")
    asked = of_pytest.parse_known_args(options)[0]
    device = asked.device
    refuse_unknown(device)
    if asked.report is not None or asked.record_dir is not None:
        raise VersionsError(
            "--report and --record-dir are one folder, and every set has its own, which its line names: leave them out. "
            "Two records make a page by python -m bench compare OLD NEW --format=html."
        )
    group = GROUP if device == "cpu" else GPU
    wanted = [Wanted(" ".join(text.split()), group) for text in dict.fromkeys(given.sets)]
    for each in wanted:
        each.requirements  # noqa: B018 (raises for what cannot be read, before anything is built)
    beside = runs.beside(given.n, len(wanted))
    if beside > 1:
        options = [*options, "--ignore=bench/test_step_time.py"]
        print(f"{beside} runs at a time; nothing is timed.", flush=True)
    with ThreadPoolExecutor(beside) as pool:
        results = pool.map(partial(runs.run, options=options, store=runs.recorded(), fresh=given.fresh), wanted)
        records = dict(zip([w.text for w in wanted], results, strict=True))
    ran = {name: record for name, record in records.items() if isinstance(record, Record)}
    print("\n" + "\n".join([*table.table(records), *table.broke(records), *upgrade.lines(ran)]))
    return table.status(list(records.values()))


if __name__ == "__main__":
    sys.exit(main())
