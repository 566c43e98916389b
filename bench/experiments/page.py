"""What README.md shows of a record: its tables and pictures, between two marks, written by the command that draws them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bench import files
from bench.experiments.experiment import Experiment, Seen
from bench.experiments.record import File, RecordError
from bench.theory.plot import save

PAGE = Path(__file__).parent / "README.md"
PICTURES = Path(__file__).parent / "pictures"
EPOCHS = re.compile(r" · (\d+) epochs, ")


def tables(experiment: Experiment, content: File) -> Iterator[str]:
    """Markdown of all that is recorded, cells of other numbers of epochs than the experiment's own by themselves."""
    yield from experiment.tables(Seen(experiment.rows, content.cells))
    own = {row.epochs for row in experiment.rows}
    for epochs in sorted({int(found[1]) for key in content.cells if (found := EPOCHS.search(key))} - own):
        yield from ("", f"After {epochs} epoch{'s' * (epochs > 1)}, with a schedule of that length:", "")
        rows = [replace(row, epochs=epochs) for row in experiment.rows]
        trained = [row for row in rows if any(Seen(rows, content.cells).of(row, backend) for backend in ("torch", "keras"))]
        yield from experiment.tables(Seen(trained, content.cells))


def pictures(experiment: Experiment, content: File, folder: Path) -> list[Path]:
    """Draw what is recorded into a folder, a file a picture. Raises WriteError."""
    files.folder(folder)
    found = []
    for title, figure in experiment.figures(Seen(experiment.rows, content.cells)).items():
        found.append(folder / f"{title}.png")
        save(found[-1], figure)
    return found


def block(experiment: Experiment, content: File) -> str:
    """What stands between the marks of an experiment."""
    shown = [f"![{title}](pictures/{title}.png)" for title in experiment.figures(Seen(experiment.rows, content.cells))]
    return "\n".join([*tables(experiment, content), *([""] if shown else []), *shown])


def write(experiment: Experiment, content: File, page: Path = PAGE) -> Path:
    """Put the block into the page. Raises RecordError where the page has no marks for it, WriteError."""
    begin, end = marks(experiment.name)
    text = page.read_text(encoding="utf-8")
    if begin not in text or end not in text:
        raise RecordError(f"{page} has no marks {begin} and {end}: restore it from version control.")
    before, after = text.partition(begin)[0], text.partition(end)[2]
    return files.write(page, f"{before}{begin}\n{block(experiment, content)}\n{end}{after}")


def marks(name: str) -> tuple[str, str]:
    """The lines around an experiment's block."""
    return f"<!-- recorded: {name} -->", f"<!-- end of {name} -->"
