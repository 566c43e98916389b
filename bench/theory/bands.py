"""Theory bands: by how much signals and gradients of a freshly initialized network grow or shrink from layer to layer.

All numbers are natural logs of ratios of squared norms, so that gains far below float32's range stay readable.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from scipy.special import digamma
from scipy.stats import chi2, norm, skew

from bench.judging.tolerance import BAND_Z as Z
from bench.theory.ensemble import sample
from bench.theory.meanfield import backward_limit
from models.architectures import graph
from models.spec import Spec
from models.spent import JUDGE, spent_on

NETWORKS = 96
"""Random networks behind one band: their mean is then known to 10 % and their spread to 7 % of the spread."""
SPREAD = 1.3
"""Margin on the measured spread. It covers the spread's own sampling error: 96 networks underestimate it by 14 % one time in 40. It also
covers rare single layers whose tails are heavier than the pooled ones. Calibrated by the self-test that compares bands with the
reference network: nothing outside Z, and bands less than twice as wide as what they hold."""
HEAVY = 4.5
"""Skewness of a gain from which its law is not nearly normal, in sampling errors √(6/n) of a normal law's. The tail itself may be too rare
to be among `NETWORKS`. In the core matrix these are mainly:

- A batch normalization behind ReLUs, backward. A unit that two of B samples barely reach, by heights of order h, has variance u ~ h²/B.
  The normalization multiplies its gradient by 1/√u (one sample alone is projected away). Two heights are below h with a probability
  ~ h² ~ u, so that P(1/u > t) ~ 1/t: the squared gradient has a tail like 1/t until ε cuts it off, and its log an exponential one.
- SiLU, backward. Where signals shrink from layer to layer, most networks have come to where SiLU is x/2; one in 200 has not, and there
  the gain is up to twice as large.
- Sixteen units a layer, forward. Few are active, and their number varies by much of itself."""
MORE = 8
"""Times as many networks behind the bands of a heavy-tailed law. A spread has relative sampling error √((κ − 1)/4n) at kurtosis κ, so that
this knows it as well as `NETWORKS` know a normal one's up to κ = 17."""
TAIL = 0.1
"""Share of networks whose mean excess over the rest gives the rate of an exponential tail (Hill 1975)."""
ROUNDING = 1e-4
"""Least standard deviation: float32 rounding of a gain that theory says is exact (an identity branch, orthogonal weights)."""
ENOUGH = 0.5
"""Share of networks in which a layer's norm must be non-zero for the layer to have a band."""
TRAINING = (
    "momentum", "clip", "clip_at", "optimizer", "lr", "optimizer_eps", "l1", "l2", "decay", "precision", "loss_scale", "scale_growth",
)  # fmt: skip
"""Fields of a Spec that an untrained network does not depend on: networks that differ in nothing else share their bands."""


@dataclass(frozen=True)
class Band:
    """Mean and standard deviation of the natural log of a ratio of squared norms over random networks.

    `down` and `up` say how many times further than a normal law's either tail extends: the log of a mean of few squares
    reaches further down, the gradient through a normalization of few units further up. `tail` = (edge, rate) says of a heavy upper
    tail that a share `TAIL` lies above mean + edge, and falls from there as exp(−y/rate). `zero` is the share of random networks in which a
    norm is zero and there is no ratio, as where all units of a narrow layer are off; mean and deviation are of the others, and NaN where
    these are too few.
    """

    mean: float
    sd: float
    down: float = 1.0
    up: float = 1.0
    tail: tuple[float, float] | None = None
    zero: float = 0.0

    def decides(self, zero: bool) -> bool:
        """Whether a network can be judged by this band; one in which a norm is `zero` where it is in others, too, cannot."""
        return not math.isnan(self.mean) and not (zero and self.zero)

    def interval(self, z: float = Z) -> tuple[float, float]:
        """(mean − z·down·sd, mean + z·up·sd), or further up where the tail has as much beyond as a normal law beyond z."""
        above = z * self.up * self.sd
        if self.tail:
            edge, rate = self.tail
            above = max(above, edge + rate * math.log(TAIL / norm.sf(z)))
        return self.mean - z * self.down * self.sd, self.mean + above

    def score(self, value: float) -> float:
        """How many standard deviations `value` lies off the mean, in units of that tail's reach; within ±z if inside."""
        off = (value - self.mean) / self.sd
        score = off / (self.down if off < 0 else self.up)
        if self.tail and value > self.mean + self.tail[0]:
            edge, rate = self.tail
            score = min(score, float(norm.isf(TAIL * math.exp(-(value - self.mean - edge) / rate))))
        return score


UNKNOWN = Band(math.nan, math.nan, zero=1.0)
"""Of what is zero in most networks."""


@dataclass(frozen=True)
class Prediction:
    """What theory says of one network on one batch, z_l being what weight layer l computes and δ_l = ∂L/∂z_l.

    Dictionaries are by dense node. `signal`, l = 2…depth: log of mean(z_l²)/mean(z_{l−1}²), means over batch and units.
    `signal_total`: the same for z_depth over z_1. `backward`, l = 1…depth−1: log of ‖δ_l‖²/‖δ_{l+1}‖². `backward_total`: the same
    for δ_1 over δ_depth. `first`: log mean(z_1²). Layers next to a signal or gradient that is 0 by construction (a branch whose last
    weights are zero) have no entry. `limit` is what `backward_total` would be at infinite width, where a formula
    exists: it explains the band, which alone decides. `profile`, l = 1…depth: log of ‖δ_l‖²/‖δ_depth‖².
    """

    signal: dict[str, Band]
    signal_total: Band
    backward: dict[str, Band]
    backward_total: Band
    first: Band
    profile: dict[str, Band]
    limit: float | None = None


def why_not(spec: Spec) -> str:
    """The sentence why theory has no band for this network; empty where it has one."""
    if spec.init == "default":
        return "init=default stands for each framework's own initializer: ask for spec.on(backend)."
    if not spec.arch.predicted:
        return "bands are of dense layers; time_gain judges gradients through time, image_gain those through images."
    return ""


def predict(spec: Spec, x: np.ndarray) -> Prediction | None:
    """Bands for `spec` on the batch x (batch × features); None where `why_not` says why."""
    if why_not(spec):
        return None
    x = np.ascontiguousarray(x, np.float64)
    usual = Spec().fields
    return _predict(spec.but(**{name: usual[name] for name in TRAINING if name in spec.fields}), x.shape, x.tobytes())


@lru_cache(maxsize=256)
@spent_on(JUDGE, "theory")
def _predict(spec: Spec, shape: tuple[int, int], data: bytes) -> Prediction:
    x = np.frombuffer(data).reshape(shape)
    norms = sample(spec, x, NETWORKS)
    first, last = graph(spec).dense[0].name, graph(spec).dense[-1].name
    gains = [gain for logs in (norms.signal, norms.delta) for gain in (*(gain for _, _, gain in _gains(logs)), logs[last] - logs[first])]
    if max(abs(_skewness(gain)) for gain in gains) > HEAVY:
        norms = sample(spec, x, MORE * NETWORKS)
    square = {node.name: norms.signal[node.name] - np.log(node.width * len(x)) for node in graph(spec).dense}
    signal = {above: gain for _, above, gain in _gains(square)}
    backward = {below: -gain for below, _, gain in _gains(norms.delta)}
    above = {name: gain for name, delta in norms.delta.items() if _seen(gain := delta - norms.delta[last])}
    forth, back = _bands(signal), _bands(backward)
    return Prediction(
        signal=forth,
        signal_total=_total(square[last] - square[first], forth),
        backward=back,
        backward_total=_total(norms.delta[first] - norms.delta[last], back),
        first=_bands({first: square[first]}).get(first, UNKNOWN),
        profile={name: Band(mean, SPREAD * sd) for name, (mean, sd) in ((name, _moments(gain)) for name, gain in above.items())},
        limit=backward_limit(spec, x),
    )


def _seen(logs: np.ndarray) -> bool:
    """Whether a norm is non-zero in most networks."""
    return bool(np.mean(np.isfinite(logs)) > ENOUGH)


def _zero(logs: np.ndarray) -> float:
    """Share of networks in which a norm is zero."""
    return float(np.mean(~np.isfinite(logs)))


def _gains(logs: dict[str, np.ndarray]) -> list[tuple[str, str, np.ndarray]]:
    """Node, next node, and the next one's log less the node's, where both are non-zero in most networks.

    A saturated loss may have gradient 0.
    """
    gains = [(below, above, logs[above] - logs[below]) for below, above in pairwise(logs)]
    return [(below, above, gain) for below, above, gain in gains if _seen(gain)]


def _bands(ratios: dict[str, np.ndarray]) -> dict[str, Band]:
    """One band per layer; how far the tails reach is measured on all layers together, for their laws are alike.

    Where a law leans to one side, its tail there is taken for exponential: the largest of so few scores says too little of rarer ones.
    """
    ratios = {layer: values for layer, values in ratios.items() if _seen(values)}
    if not ratios:
        return {}
    found = {layer: _moments(values) for layer, values in ratios.items()}
    scores = np.concatenate([(values - found[layer][0]) / found[layer][1] for layer, values in ratios.items()])
    scores = scores[np.isfinite(scores)]
    normal = norm.isf(0.5 / len(scores))  # the median of the largest of as many normal numbers
    down, up = max(1.0, -scores.min() / normal), max(1.0, scores.max() / normal)
    lean = [_skewness(values) for values in ratios.values()]
    if min(lean) < -HEAVY:
        down = max(down, _exponential_reach(-scores))
    if max(lean) > HEAVY:
        up = max(up, _exponential_reach(scores))
    return {
        layer: Band(mean, SPREAD * sd, max(float(down), _chi_square_reach(sd)), float(up), zero=_zero(ratios[layer]))
        for layer, (mean, sd) in found.items()
    }


def _total(values: np.ndarray, layers: dict[str, Band]) -> Band:
    """The band over many layers: nearly normal, but for the part of the layer that reaches furthest, or with a heavy tail."""
    if not _seen(values):
        return UNKNOWN
    mean, sd = _moments(values)
    down, up = (
        max(((reach**2 - 1) * (b.sd / SPREAD / sd) ** 2 for b, reach in tails), default=0.0)
        for tails in ([(b, b.down) for b in layers.values()], [(b, b.up) for b in layers.values()])
    )
    tail = _exponential_tail(values - mean) if _skewness(values) > HEAVY else None
    return Band(mean, SPREAD * sd, math.sqrt(1 + down), math.sqrt(1 + up), tail, _zero(values))


def _moments(values: np.ndarray) -> tuple[float, float]:
    values = values[np.isfinite(values)]
    return float(values.mean()), max(float(values.std(ddof=1)), ROUNDING)


def _skewness(values: np.ndarray) -> float:
    """Skewness in sampling errors of a normal law's; none of what rounding alone spreads, or of too few."""
    values = values[np.isfinite(values)]
    if len(values) <= ENOUGH * NETWORKS or values.std() < ROUNDING:
        return 0.0
    return float(skew(values)) / (6 / len(values)) ** 0.5


def _exponential_reach(scores: np.ndarray) -> float:
    """How much further than a normal law's lies the score that an exponential tail exceeds as rarely as a normal law exceeds Z."""
    edge, rate = _exponential_tail(scores)
    return (edge + rate * math.log(TAIL / norm.sf(Z))) / Z


def _exponential_tail(excess: np.ndarray) -> tuple[float, float]:
    """The edge of the upper share `TAIL`, and how far beyond it that share lies on average."""
    excess = excess[np.isfinite(excess)]
    edge = float(np.quantile(excess, 1 - TAIL))
    return edge, float(excess[excess > edge].mean()) - edge


def _chi_square_reach(sd: float) -> float:
    """How much further below its mean than a normal variable's lies the Z-sigma quantile of a log χ² variable.

    The log of a χ² variable with 2a degrees of freedom has variance ψ′(a) ≈ 1/a + 1/(2a²), which gives a from `sd`; a mean
    of squares has at least one degree of freedom.
    """
    a = max(0.5, (1 + math.sqrt(1 + 2 * sd**2)) / (2 * sd**2))
    quantile = math.log(chi2.ppf(norm.sf(Z), 2 * a) / 2)
    return max(1.0, float(digamma(a) - quantile) / (Z * sd))
