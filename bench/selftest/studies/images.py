"""The pictures of README from a run's record: an excerpt of its page, and gradients over depth in every framework.

`python -m bench images .gradgauge/latest.json` writes `report.png` and `gradients.png` into `.github/images`. The page is shown by
Chromium. The record is one of a core run.
"""

from __future__ import annotations

import argparse
import io
import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from bench import files
from bench.exit_status import Status, ends_with
from bench.files import WriteError
from bench.judging.tolerance import BAND_Z
from bench.report import page
from bench.report.record import Profile, Record, RecordError
from bench.report.record_file import read
from bench.selftest.studies import chromium

FOLDER = Path(__file__).resolve().parents[3] / ".github" / "images"
WIDTH = 1180
"""CSS pixels of the page's picture."""
SHADES = 128
"""Colours of a picture, which then takes a third of the bytes."""
EXCERPT = """
    section:not([aria-labelledby=checks], [aria-labelledby=profiles]), section > ul, footer, tbody tr:nth-child(n+11),
    figure:not(:nth-of-type(3), :nth-of-type(5), :nth-of-type(6)) { display: none }
    body { padding-bottom: 1rem } p { max-width: none !important }
"""
"""What of the page is left out: all but ten checks and the gradients of three networks."""
NETWORKS = [
    ("depth=64", "64 layers of ReLU and He: steady"),
    ("act=sigmoid", "sigmoid: vanishing"),
    ("init=default", "each framework's default: vanishing"),
    ("norm=layer", "layer normalization: steady"),
    ("norm=batch", "batch normalization: exploding"),
    ("skip=one,lr=0.0002", "unscaled skips: exploding"),
]
"""What the picture of gradients shows, and what it shows of each."""
LINES: dict[str, dict[str, Any]] = {
    "torch": {"color": "#b8480a", "marker": "o", "ms": 3.4},
    "keras": {"color": "#1263b0", "marker": "s", "ms": 5, "mfc": "none", "ls": "--"},
}
STYLE = {
    "font.size": 9, "axes.edgecolor": "#9aa5b1", "axes.labelcolor": "#222222", "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "axes.axisbelow": True, "grid.color": "#e4e8ec", "grid.linewidth": 0.6, "xtick.color": "#444444",
    "ytick.color": "#444444", "text.color": "#111111", "legend.frameon": False, "text.parse_math": False, "font.family": "sans-serif",
}  # fmt: skip


class PictureError(RuntimeError):
    """A picture that cannot be made; the message is one sentence with the remedy."""


def report(run: Record) -> bytes:
    """An excerpt of the run's page as PNG: headline, the first checks, the first gradients. Raises PictureError without Chromium."""
    if chromium.PROGRAM is None:
        raise PictureError("The page is shown by Chromium, which is not installed here: apt-get install chromium.")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # Chromium's children still write there
        browser = chromium.Browser(Path(folder) / "profile")
        try:
            browser.open(page.write(Path(folder) / "page.html", page.of_run(run)), WIDTH)
            browser.value(f"document.head.insertAdjacentHTML('beforeend', `<style>{EXCERPT}</style>`)")
            return _small(browser.picture(WIDTH, browser.value("document.documentElement.getBoundingClientRect().height")))
        finally:
            browser.close()


def gradients(run: Record) -> bytes:
    """Gradient norms by layer, one panel a network, as PNG. Raises PictureError where the record lacks a network."""
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        figure = Figure(figsize=(9.6, 5.2))
        figure.set_layout_engine("constrained", wspace=0.06, hspace=0.06)
        panels = figure.subplots(2, 3, sharey=True)
        for axes, (network, title) in zip(panels.flat, NETWORKS, strict=True):
            own = [profile for profile in run.profiles if profile.network == network and profile.gradient]
            if not own:
                raise PictureError(f"{run.name} has no gradients of {network}: give the record of a core run.")
            _panel(axes, own)
            axes.set_title(title, loc="left", fontsize=9.5, fontweight="bold")
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=4))
        for axes in panels[:, 0]:
            axes.set_ylabel("gradient norm,\ndecades from the last layer's")
        for axes in panels[-1]:
            axes.set_xlabel("layer")
        figure.legend(*panels.flat[0].get_legend_handles_labels(), loc="outside upper left", ncols=4, fontsize=9.5)
        drawn = io.BytesIO()
        figure.savefig(drawn, dpi=125, facecolor="white")
    return _small(drawn.getvalue())


def _panel(axes: Axes, profiles: Sequence[Profile]) -> None:
    for profile in profiles:
        depth = len(profile.gradient)
        layers = [layer for layer, edge in enumerate(profile.band, start=1) if edge]
        low, high = ([math.log10(float(edge[side])) for edge in profile.band if edge] for side in (0, 1))
        label = f"theory, ± {BAND_Z:g} standard deviations" if profile is profiles[0] else None
        axes.fill_between([*layers, depth], [*low, 0], [*high, 0], color="#dfe6ee", linewidth=0, label=label)
    for profile in profiles:
        norms = np.array([float(value) for value in profile.gradient])
        style = LINES.get(profile.backend, {"color": "#1d7a4c", "marker": "^"})
        every = max(1, len(norms) // 16)
        axes.plot(np.arange(1, len(norms) + 1), np.log10(norms / norms[-1]), label=profile.backend, lw=1.3, markevery=every, **style)


def _small(png: bytes) -> bytes:
    reduced, image = io.BytesIO(), Image.open(io.BytesIO(png)).convert("RGB")
    image.quantize(SHADES, dither=Image.Dither.NONE).save(reduced, format="png", optimize=True)
    return reduced.getvalue()


@ends_with(Status.BAD_INPUT, RecordError, PictureError, WriteError)
def main(arguments: list[str] | None = None) -> Status:
    """Draw and write both."""
    parser = argparse.ArgumentParser(prog="python -m bench images", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("record", metavar="RECORD.json", type=Path, help="the record of a core run")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the pictures go (default: .github/images)")
    given = parser.parse_args(arguments)
    run = read(given.record)
    for name, picture in {"report": report(run), "gradients": gradients(run)}.items():
        print(files.write(given.folder / f"{name}.png", picture))
    return Status.SAME


if __name__ == "__main__":
    sys.exit(main())
