"""Compare two runs: what is worse, better or no longer there, environment differences first.

OLD and NEW are records that pytest wrote (.gradgauge/*.json.xz), or folders, whose newest record counts. They are of two framework
versions, two machines, two devices, or, with --backend=torch:keras, of two frameworks in one run. The exit status is 0 if nothing is
worse, 10 if something is or a failed new run judged less, 11 where step times cannot tell or something vanished, 12 where nothing can be
compared, 2 for bad input (bench/exit_status.py).
"""

import argparse
import sys
from pathlib import Path

from bench import files
from bench.compare import render
from bench.compare.change import Comparison
from bench.compare.runs import NothingShared, compare, status
from bench.exit_status import Status, ends_with
from bench.files import WriteError
from bench.report.record import Record, RecordError
from bench.report.record_file import newest, read

FORMATS = ("text", "markdown", "json", "html")


@ends_with(Status.NOTHING, NothingShared)
@ends_with(Status.BAD_INPUT, RecordError, WriteError)
def main(arguments: list[str] | None = None) -> Status:
    """Read both records, compare, print or write."""
    parser = argparse.ArgumentParser(prog="python -m bench compare", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("old", metavar="OLD", type=Path)
    parser.add_argument("new", metavar="NEW", type=Path)
    parser.add_argument("--format", choices=FORMATS, default="text")
    parser.add_argument("--backend", metavar="NAME[:NEW]", help="compare only this backend, or the old run's with another of the new run")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="write here instead of to the terminal")
    given = parser.parse_args(arguments)
    paths = [newest(path) if path.is_dir() else path for path in (given.old, given.new)]
    old, new = map(read, paths)
    comparison = compare(old, new, _pairs(given.backend, old, new))
    written = _rendered(given.format, comparison, old, new)
    if given.output:
        files.write(given.output, written, inputs=paths)
        print(f"{comparison.headline}\n{given.output}")
    else:
        sys.stdout.write(written)
    return status(comparison)


def _pairs(text: str | None, old: Record, new: Record) -> list[tuple[str, str]] | None:
    if text is None:
        return None
    before, _, after = text.partition(":")
    for name, run, side in ((before, old, "old"), (after or before, new, "new")):
        if name not in run.backends:
            raise RecordError(f"--backend={text}: the {side} run has no backend {name!r}, but {', '.join(run.backends) or 'none'}.")
    return [(before, after or before)]


def _rendered(form: str, comparison: Comparison, old: Record, new: Record) -> str:
    if form == "html":
        from bench.compare import page  # the plotting library takes a second, which other formats need not wait for

        return page.of_comparison(comparison, old, new)
    return {"text": render.text, "markdown": render.markdown, "json": render.as_json}[form](comparison)


if __name__ == "__main__":
    sys.exit(main())
