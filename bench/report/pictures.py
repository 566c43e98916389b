"""The page's pictures: SVG drawn by matplotlib, its colours handed over to the page so that they follow light and dark.

Every function returns SVG text, or an empty string where the record has nothing to show. Text stays text, so that it can be
searched and scales. Colours are placeholders that `_inline` replaces by the page's CSS variables.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from typing import Any, TypedDict

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter

from bench.evidence.times import StepTime
from bench.judging.tolerance import BAND_Z
from bench.judging.verdict import Verdict
from bench.report.record import Profile

INK, SOFT, BAND = "#010203", "#040506", "#070809"
SERIES = ("#0a0b01", "#0a0b02", "#0a0b03", "#0a0b04", "#0a0b05", "#0a0b06")
VARIABLES = {INK: "--ink", SOFT: "--line", BAND: "--band"} | {color: f"--c{number}" for number, color in enumerate(SERIES, start=1)}
MARKERS, DASHES = "os^Dv*", ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)))
WIDTH, HEIGHT = 4.4, 3.0
"""Inches of a picture: at 72 dots an inch what a phone is wide, so that its text is not scaled down there."""
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
COLORS = 32
"""Shades of a heat map: with more than 50, matplotlib puts its scale in as a bitmap."""

STYLE: Any = {  # matplotlib types it by every key that it knows
    "svg.fonttype": "none", "text.parse_math": False,
    "font.family": "sans-serif", "font.size": 9, "axes.titlesize": 9, "axes.edgecolor": SOFT,
    "axes.labelcolor": INK, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True,
    "xtick.color": INK, "ytick.color": INK, "text.color": INK, "grid.color": SOFT, "grid.linewidth": 0.4, "legend.frameon": False,
    "legend.fontsize": 8.5, "lines.markersize": 3.5, "lines.linewidth": 1.3,
}  # fmt: skip
mpl.rcParams.update(STYLE)


def gradient_profile(profiles: Sequence[tuple[str, Profile]], name: str) -> str:
    """‖∂L/∂z_l‖ relative to the last layer's against layer, one labelled line a profile, over the band of theory."""
    figure, axes = _axes()
    banded = next((profile for _, profile in profiles if any(profile.band)), None)
    if banded:
        layers = [layer for layer, edge in enumerate(banded.band, start=1) if edge]
        low, high = ([float(edge[side]) for edge in banded.band if edge] for side in (0, 1))
        axes.fill_between([*layers, len(banded.gradient)], [*low, 1], [*high, 1], color=BAND, linewidth=0, label=f"theory, ± {BAND_Z:g} sd")
    drawn = rises = False
    for number, (label, profile) in enumerate(profiles):
        norms = np.array([float(value) for value in profile.gradient])
        if len(norms) and norms[-1] > 0 and np.isfinite(norms[-1]):
            ratio = np.where(norms > 0, norms, np.nan) / norms[-1]
            axes.plot(np.arange(1, len(norms) + 1), ratio, label=label, **_style(number, len(norms)))
            drawn, rises = True, rises or bool(ratio[0] < 0.1)
    if not drawn:
        return ""
    axes.set_yscale("log")
    bottom, top = axes.get_ylim()
    axes.set_ylim(min(bottom, 0.08), max(top, 12))  # at least two decades, so that a flat line looks flat
    axes.yaxis.set_major_locator(LogLocator(numticks=7))
    axes.yaxis.set_major_formatter(lambda value, _: "10" + str(round(math.log10(value))).translate(RAISED))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set(xlabel="layer", ylabel="gradient norm / last layer's")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.legend(loc="upper left" if rises else "upper right")  # where the lines are not; searching for the best place is slow
    return _inline(figure, name)


def heat_map(profile: Profile, beside: Sequence[Profile], name: str) -> str:
    """Weight-gradient norms over layer and step of one training, logarithmic, on a scale that serves those `beside` it too."""
    logs, every = _logs(profile), np.ma.concatenate([_logs(each).ravel() for each in (profile, *beside)])
    if not logs.count():
        return ""
    figure, axes = _axes()
    axes.grid(False)
    image = axes.pcolormesh(
        _edges(profile.steps),
        _edges(profile.layers),
        logs,
        cmap=mpl.colormaps["viridis"].resampled(COLORS),
        vmin=every.min(),
        vmax=every.max(),
    )
    axes.set(xlabel="training step", ylabel="layer")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    bar = figure.colorbar(image, ax=axes, pad=0.02)
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.set_label("log₁₀ gradient norm")
    return _inline(figure, name)


def _logs(profile: Profile) -> np.ma.MaskedArray[Any, Any]:
    """log₁₀ of the norms, layers × steps; what is zero or not finite is masked."""
    norms = np.array([[float(value) for value in row] for row in profile.norms]).T
    return np.ma.masked_invalid(np.log10(np.where((norms > 0) & np.isfinite(norms), norms, np.nan)))


def accuracy_by_depth(series: dict[str, list[tuple[int, list[float]]]], name: str) -> str:
    """Test accuracy against depth, one line a series, mean and range over seeds."""
    if not series:
        return ""
    figure, axes = _axes()
    for number, (label, points) in enumerate(series.items()):
        points = sorted(points)
        means = np.array([np.mean(values) for _, values in points])
        reach = np.array([[mean - min(values), max(values) - mean] for mean, (_, values) in zip(means, points, strict=True)]).T
        shift = 1.04 ** (number - (len(series) - 1) / 2)  # side by side, so that error bars can be told apart
        depths = [depth * shift for depth, _ in points]
        axes.errorbar(depths, means, np.maximum(reach, 0), label=label, capsize=2, elinewidth=0.8, **_style(number, 1))
    axes.set_xscale("log", base=2)
    depths = sorted({depth for points in series.values() for depth, _ in points})
    axes.set_xticks(depths, [str(depth) for depth in depths])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(xlabel="depth", ylabel="test accuracy", ylim=(0, 1.02))
    axes.legend(loc="lower left")
    return _inline(figure, name)


def accuracy_by_recording(series: dict[str, list[tuple[float, float]]], name: str) -> str:
    """Accuracy of each seed against what was recorded of it, one colour a backend; on the diagonal nothing changed."""
    if not series:
        return ""
    figure, axes = _axes()
    for number, (label, pairs) in enumerate(series.items()):
        recorded, seen = zip(*pairs, strict=True)
        axes.plot(recorded, seen, label=label, color=SERIES[number], marker=MARKERS[number], linestyle="none", markersize=2.5)
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.6)
    axes.set(xlabel="recorded accuracy", ylabel="accuracy seen", xlim=(0, 1.02), ylim=(0, 1.02))
    axes.legend(loc="upper left")
    return _inline(figure, name)


def distances(verdicts: Sequence[Verdict], backends: Sequence[str], name: str) -> str:
    """How much of each bound the tightest network leaves, check by check; a cross where a number is outside."""
    checks = list(dict.fromkeys(v.check for v in verdicts if v.judged))
    if not checks:
        return ""
    figure, axes = _axes(height=0.9 + 0.34 * len(checks))
    for number, backend in enumerate(backends):
        for place, check in enumerate(checks):
            own = [v for v in verdicts if v.check == check and v.backend == backend and v.judged]
            if not own:
                continue
            y = place + 0.3 * (number - (len(backends) - 1) / 2)
            least = min(0.0 if v.outside else max(v.headroom, 0.0) for v in own)
            color = SERIES[number % len(SERIES)]
            axes.plot([0, 100 * least], [y, y], linewidth=1.2, color=color)
            outside = any(v.outside for v in own)
            axes.plot([100 * least], [y], "x" if outside else MARKERS[number % len(MARKERS)], markersize=7 if outside else 4.5, color=color)
    for number, backend in enumerate(backends):
        axes.plot([], [], MARKERS[number % len(MARKERS)], color=SERIES[number % len(SERIES)], label=backend)
    axes.set_yticks(range(len(checks)), checks)
    axes.set(xlim=(-4, 104), ylim=(len(checks) - 0.4, -0.6), xlabel="% headroom to the bound")
    axes.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=4)
    return _inline(figure, name)


def step_times(timings: Sequence[StepTime], name: str) -> str:
    """Milliseconds of a step, median and quartiles over blocks, a row a case."""
    if not timings:
        return ""
    networks, cases = list(dict.fromkeys(t.network for t in timings)), list(dict.fromkeys(t.case for t in timings))
    figure, axes = _axes(height=1.0 + 0.2 * len(timings) + 0.25 * len(cases))
    y, ticks = 0.0, []
    for network in networks:
        own = [t for t in timings if t.network == network]
        ticks.append(y + (len(own) - 1) / 2)
        for timed in own:
            low, median, high = np.percentile(1e3 * np.array(timed.step_samples_s), [25, 50, 75])
            number = cases.index(timed.case)
            axes.errorbar([median], [y], xerr=[[median - low], [high - median]], capsize=2.5, elinewidth=1, **_style(number, 1))
            y += 1
        y += 0.8
    for number, case in enumerate(cases):
        axes.plot([], [], label=case, **_style(number, 1) | {"linestyle": ""})
    axes.set_yticks(ticks, networks)
    axes.invert_yaxis()
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if high / low > 200 else (1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(xlabel="milliseconds a step, median and quartiles")
    axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.55 / (figure.get_figheight() - 0.9)), ncols=2)
    return _inline(figure, name)


def _axes(height: float = HEIGHT) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, height))
    return figure, figure.subplots()


class Style(TypedDict):
    """How a line is drawn, in matplotlib's own words."""

    color: str
    marker: str
    linestyle: str | tuple[float, tuple[float, ...]]
    markevery: int


def _style(number: int, points: int) -> Style:
    """A line that differs by colour, marker and dash, so that no one of them is needed."""
    return {
        "color": SERIES[number % len(SERIES)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": DASHES[number % len(DASHES)],
        "markevery": max(1, points // 16),
    }


def _edges(places: Sequence[int]) -> np.ndarray:
    """Cell borders halfway between neighbouring places."""
    if len(places) == 1:
        return np.array([places[0] - 0.5, places[0] + 0.5])
    middles = (np.array(places[1:]) + np.array(places[:-1])) / 2
    return np.concatenate([[2 * places[0] - middles[0]], middles, [2 * places[-1] - middles[-1]]])


def _inline(figure: Figure, name: str) -> str:
    """SVG for the body of a page: no prologue, ids of its own, colours from the page; described by the caption beside it."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(
            buffer, format="svg", bbox_inches="tight", pad_inches=0.03, transparent=True, metadata={"Date": None, "Creator": None}
        )
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    for color, variable in VARIABLES.items():
        svg = svg.replace(color, f"var({variable})")
    width = math.ceil(float(re.search(r'width="([\d.]+)pt"', svg).group(1)))  # type: ignore[union-attr]
    head = f'<svg role="img" aria-labelledby="{name}-caption" style="max-width:{width * 4 // 3}px"'
    svg = re.sub(r'<svg (.*?)width="[\d.]+pt" height="[\d.]+pt"', lambda found: f"{head} ", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font-family: [^;\"]*", "font-family: inherit", svg)
    return _named(_shortened(svg), name)


def _shortened(svg: str) -> str:
    """The same picture in fewer characters: tenths of a dot, no turn by nothing, no group and no id that nobody asks for."""
    svg = re.sub(r' transform="rotate\(-?0 [^"]*"', "", svg)
    svg = re.sub(r' (?:d|x|y)="[^"]*"', lambda found: re.sub(r"(\d\.\d)\d+", r"\1", found.group()), svg)
    svg = re.sub(r' d="[^"]*"', lambda path: re.sub(r"\s*([MLQCz])\s*", r"\1", path.group()).replace("\n", " "), svg)
    svg = re.sub(r">\s+<", "><", svg)
    asked = set(re.findall(r"#([\w.-]+)", svg))
    svg = re.sub(r' id="([\w.-]+)"', lambda found: found.group() if found.group(1) in asked else "", svg)
    before = ""
    while svg != before:
        before, svg = svg, re.sub(r"<g>(<(?:path|use|text)\b[^>]*(?:/>|>[^<]*</text>))</g>|<defs></defs>", r"\1", svg)
    return svg


def _named(svg: str, name: str) -> str:
    """Ids that no other picture of the page has: the picture's name and a number."""
    names = {old: f"{name}-{number}" for number, old in enumerate(dict.fromkeys(re.findall(r' id="([\w.-]+)"', svg)))}
    svg = re.sub(r' id="([\w.-]+)"', lambda found: f' id="{names[found.group(1)]}"', svg)
    return re.sub(r"(url\(|href=\")#([\w.-]+)", lambda found: f"{found.group(1)}#{names[found.group(2)]}", svg)
