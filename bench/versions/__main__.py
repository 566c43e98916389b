"""Run the matrix in several releases and print versions × checks, with what broke where.

Each SET of requirements replaces the project's own of the same names: keras==3.12.0, or in quotes several at once,
"keras==3.0.2 tensorflow-cpu==2.16.2 numpy<2". A SET may also be an environment that is there, as /path/to/env or its bin/python;
workers run in it, and need msgspec, numpy, scipy and psutil there. Environments and results are kept in .gradgauge, so that a run
that was interrupted goes on where it was; from the first other option on, everything is handed to pytest (--cases=smoke,
--model=gauge.py:net, -k …).
The exit status compares the first set with the last: 10 if something is worse in the last, 1 if a check fails there as it did
before (or there is one set), 11 if times cannot tell, 12 if nothing was judged, 2 if a set could not be installed, 14 if a run
left no record, and 0 otherwise.
"""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from bench.exit_status import Status, ends_with
from bench.files import WriteError
from bench.report.record import Record
from bench.versions import runs, table, upgrade
from bench.versions.environments import python_at
from bench.versions.requirements import GPU, GROUP, NOTHING_BESIDE, VersionsError, Wanted, read_beside
from models.worker.devices import DeviceError, refuse_unknown

OWN = ("-n", "--fresh", "--with", "-h", "--help")


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
    parser.add_argument("--with", type=Path, dest="beside", metavar="FILE", help="a requirements.txt of yours: what every set has besides")
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
    beside = NOTHING_BESIDE if given.beside is None else read_beside(given.beside)
    wanted = [Wanted(" ".join(text.split()), group, beside=beside) for text in dict.fromkeys(given.sets)]
    for each in wanted:
        if each.environment:  # what cannot be read is refused before anything is built
            python_at(each.environment)
        else:
            each.requirements  # noqa: B018
    at_a_time = runs.beside(given.n, len(wanted))
    if at_a_time > 1:
        options = [*options, "--ignore=bench/test_step_time.py"]
        print(f"{at_a_time} runs at a time; nothing is timed.", flush=True)
    with ThreadPoolExecutor(at_a_time) as pool:
        results = pool.map(partial(runs.run, options=options, store=runs.recorded(), fresh=given.fresh), wanted)
        records = dict(zip([w.text for w in wanted], results, strict=True))
    ran = {name: record for name, record in records.items() if isinstance(record, Record)}
    print("\n" + "\n".join([*table.table(records), *table.broke(records), *upgrade.lines(ran)]))
    return table.status(list(records.values()))


if __name__ == "__main__":
    sys.exit(main())
