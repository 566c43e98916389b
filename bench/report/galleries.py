"""Which pictures a page shows, and their captions, which say what a picture shows to whoever cannot see it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from markupsafe import Markup

from bench.checks import CHECKS
from bench.report import pictures
from bench.report.record import Profile, Record
from models.own.address import ALIGNED
from models.spec import Spec, SpecError

PROFILED, MAPPED, NAMED = 9, 6, 5
"""How many gradient profiles and heat maps a page shows, and how many pairs it names."""
DEPTHS = ("depth=4", "reference", "depth=64")
"""Networks whose pictures come first: the same network at several depths."""
NORM, SKIP = {"norm": "batch"}, {"skip": "two", "skip_order": "pre"}
SERIES: dict[str, dict[str, str]] = {"plain": {}, "batch norm": NORM, "skip": SKIP, "batch norm and skip": NORM | SKIP}
"""Lines of the picture of accuracy against depth: what moves from the reference network besides depth."""


@dataclass(frozen=True)
class Picture:
    """An SVG, its title and a caption in words."""

    name: str
    title: str
    caption: str
    svg: Markup


@dataclass
class Gallery:
    """Pictures of one kind under a heading; `id` is the heading's address on the page."""

    id: str
    title: str
    intro: str
    pictures: list[Picture]

    def add(self, name: str, title: str, caption: str, svg: str) -> None:
        """Add a picture unless there was nothing to draw; its text was escaped where it was drawn."""
        if svg:
            self.pictures.append(Picture(name, title, caption, Markup(svg)))


def of_run(run: Record) -> list[Gallery]:
    """Every gallery of one run; empty ones are left out."""
    found = [gradients(run), training(run), accuracy(run), recordings(run), distances(run), times(run)]
    return [gallery for gallery in found if gallery.pictures]


def gradients(run: Record) -> Gallery:
    """Gradient norms by layer, a picture a network: several depths, those that vanish or explode most, all that both frameworks hold."""
    intro = (
        "How large the gradient that reaches each layer is, as a multiple of the last layer's, in the network as each framework "
        "initializes it; the band is what theory predicts. A line that falls to the left vanishes, one that rises explodes."
    )
    gallery = Gallery("profiles", "Gradients by layer", intro, [])
    networks = ranked(run.profiles)
    pairs = [network for network in networks[PROFILED:] if network.startswith(f"{ALIGNED}:")]
    for place, network in enumerate(networks[:PROFILED] + pairs):
        own = [(p.backend, p) for p in run.profiles if p.network == network]
        gallery.add(f"profile{place}", network, caption(own), pictures.gradient_profile(own, f"profile{place}"))
    return gallery


def training(run: Record) -> Gallery:
    """Heat maps of weight-gradient norms over layer and step."""
    gallery = Gallery("maps", "Gradients over training", "Layer against training step, first seed. Brighter is larger.", [])
    chosen = [p for network in ranked(run.profiles) for p in run.profiles if p.network == network and p.norms]
    for place, seen in enumerate(chosen[:MAPPED]):
        caption = f"Weight-gradient norms of {len(seen.layers)} layers at {len(seen.steps)} steps."
        gallery.add(f"map{place}", f"{seen.network}, {seen.backend}", caption, pictures.heat_map(seen, _beside(run, seen), f"map{place}"))
    return gallery


def _beside(run: Record, seen: Profile) -> list[Profile]:
    """The same network on other backends, with which a heat map shares its scale."""
    return [p for p in run.profiles if p.network == seen.network and p is not seen and p.norms]


def accuracy(run: Record) -> Gallery:
    """Accuracy against depth of networks in which nothing else moved, a picture a backend."""
    intro = "Mean and range over seeds after training, all else as in the reference network."
    gallery = Gallery("accuracy", "Accuracy against depth", intro, [])
    for place, backend in enumerate(run.backends):
        series: dict[str, list[tuple[int, list[float]]]] = {}
        for seen in run.profiles:
            if seen.backend == backend and seen.samples.get("accuracy") and (point := _series(seen.network)):
                series.setdefault(point[0], []).append((point[1], [float(value) for value in seen.samples["accuracy"]]))
        ordered = {kind: sorted(series[kind]) for kind in SERIES if kind in series}
        means = {kind: ", ".join(f"{sum(v) / len(v):.0%} at {depth}" for depth, v in points) for kind, points in ordered.items()}
        shown = "; ".join(f"{kind} {points}" for kind, points in means.items())
        gallery.add(f"accuracy{place}", backend, f"{shown}.", pictures.accuracy_by_depth(ordered, f"accuracy{place}"))
    return gallery


def recordings(run: Record) -> Gallery:
    """Accuracy of every seed of every network beside what was recorded of it, and the seeds that are furthest from it, in words."""
    intro = "Each point is one seed of one network: the same weights and batches, then and now."
    gallery = Gallery("recordings", "Recorded and seen", intro, [])
    series: dict[str, list[tuple[float, float]]] = {}
    apart: list[tuple[float, str]] = []
    for seen in run.profiles:
        for seed, now, then in zip(seen.seeds, seen.samples.get("accuracy", []), seen.recorded.get("accuracy", []), strict=False):
            series.setdefault(seen.backend, []).append((float(then), float(now)))
            apart.append((abs(float(now) - float(then)), f"{seen.network} on {seen.backend}, seed {seed}: {then} → {now}"))
    furthest = "; ".join(words for _, words in sorted(apart, reverse=True)[:NAMED])
    gallery.add(
        "recordings", "Accuracy, seed by seed", f"Furthest apart: {furthest}.", pictures.accuracy_by_recording(series, "recordings")
    )
    return gallery


def distances(run: Record) -> Gallery:
    """The distance of the tightest number to its bound, check by check."""
    intro = "How much of the way to its bound the tightest number leaves; a cross is outside."
    gallery = Gallery("distances", "Distance to each bound", intro, [])
    order = list(CHECKS)
    verdicts = sorted(run.verdicts, key=lambda v: order.index(v.check) if v.check in order else len(order))
    caption = "The networks these numbers are of stand in the table of checks."
    gallery.add("distances", "Left of the way to the bound", caption, pictures.distances(verdicts, run.backends, "distances"))
    return gallery


def times(run: Record) -> Gallery:
    """Step times with their spread."""
    gallery = Gallery("times", "Step times", "One training step: median and quartiles over blocks of steps.", [])
    medians = {f"{t.network} {t.case}": 1e3 * sorted(t.step_samples_s)[len(t.step_samples_s) // 2] for t in run.timings}
    reached = {f"{t.network} {t.case}": f" ({t.of_product_rate:.1%} of the product rate)" for t in run.timings if t.of_product_rate}
    caption = "; ".join(f"{name} {median:.3g} ms{reached.get(name, '')}" for name, median in medians.items())
    gallery.add("times", "Milliseconds a step", caption, pictures.step_times(run.timings, "times"))
    return gallery


def ranked(profiles: list[Profile]) -> list[str]:
    """Networks: several depths first, then by how many decades the gradient changes."""
    change = {seen.network: abs(decades(seen)) for seen in profiles}
    first = [network for network in DEPTHS if network in change]
    return first + sorted((network for network in change if network not in first), key=lambda network: -change[network])


def decades(seen: Profile) -> float:
    """log₁₀ of the first layer's gradient norm over the last one's: −∞ where nothing arrives, 0 where there is nothing to compare."""
    ends = [float(value) for value in (*seen.gradient[:1], *seen.gradient[-1:])]
    if ends and ends[0] == 0 < ends[1]:
        return -math.inf
    return math.log10(ends[0]) - math.log10(ends[1]) if ends and all(0 < end < math.inf for end in ends) else 0.0


def caption(profiles: list[tuple[str, Profile]]) -> str:
    """What a picture of gradient profiles shows."""
    changes = {label: decades(seen) for label, seen in profiles}
    named = [f"{label} {change:+.1f}" if math.isfinite(change) else f"{label} loses all" for label, change in changes.items()]
    return f"First layer against last, in decades: {', '.join(named)}."


def _series(network: str) -> tuple[str, int] | None:
    """Which line of the picture of accuracy a network belongs to and its depth, if nothing else moved."""
    try:
        spec = Spec.parse(network)
        for kind, fields in SERIES.items() if "depth" in spec.fields else ():  # recurrent networks have layers and a length
            same = {name: str(spec.fields[name]) for name in ("depth", "features", "classes")}
            if spec == Spec.parse(",".join(f"{name}={value}" for name, value in (same | fields).items())):
                return kind, spec.arch.depth
    except SpecError:  # an id of another release of the suite, or a depth that has no such skip
        return None
    return None
