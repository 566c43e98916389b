"""Convolutional layers of the reference: gradients against the complex step and finite differences, other formulas, and known cases."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import correlate2d

from bench.selftest.slopes import IMAGINARY, TO_ROUNDING, assert_slopes, problem
from models.architectures import graph
from models.nodes import Conv
from models.parts.losses import LOSSES
from models.reference.draws import draw_weights
from models.reference.network import Reference
from models.spec import Spec, SpecError

SMALL = "channels=4,features=36,classes=3,batch=5,precision=float64,act=tanh"
WIRED = (
    "", "kernel=1", "kernel=5,depth=3", "padding=valid,depth=3", "padding=circular,dilation=2", "dilation=2", "stride=2",
    "stride=2,padding=same_at_end", "stride=2,padding=valid,depth=2", "groups=2", "convolution=depthwise,depth=5", "pool=max",
    "pool=average,pools=2", "pool=max,window=3,pool_padding=same", "pool=average,window=3,pool_padding=same,counted=yes",
    "pool=average,window=3,pool_padding=same_at_end", "pool=average,window=3,pool_padding=same", "norm=batch", "norm=group,norm_groups=2",
    "norm=layer,norm_at=after,pool=max", "norm=rms", "skip=one", "skip=two,depth=6,norm=batch,pool=average",
    "skip=one,norm=layer,norm_at=after", "read=average", "read=max", "flatten=channels_last", "head=6,depth=4",
    "start=delta,init=orthogonal", "bias=normal,stride=2,pool=max,depth=2",
)  # fmt: skip


@pytest.mark.parametrize("text", WIRED)
def test_gradients_are_derivatives_of_the_loss(text: str) -> None:
    """By the complex step to rounding, by a central difference to what h² cuts off, for every parameter along its gradient and a way."""
    spec = Spec.parse(",".join(filter(None, ("conv", text, SMALL))))
    weights, x, labels = problem(spec)
    done = Reference(spec, weights).run(x, labels)
    assert set(done.gradients) == set(done.sizes) == set(graph(spec).parameters)
    if spec.arch.norm == "batch":
        nothing = {key for key in done.gradients if key.startswith("conv") and key.endswith("bias")}
        assert max(float(np.linalg.norm(done.gradients[key])) for key in nothing) < TO_ROUNDING
        done.gradients = {key: g for key, g in done.gradients.items() if key not in nothing}
    for key, gradient in done.gradients.items():
        assert 1e-5 * done.sizes[key] < float(np.linalg.norm(gradient)) <= done.sizes[key] * (1 + TO_ROUNDING), key
    assert_slopes(spec, weights, (x, labels), done.gradients)


@pytest.mark.parametrize("text", ["", "stride=2,padding=valid,depth=2", "padding=circular,dilation=2", "pool=max", "pool=average,read=max"])
def test_pixels_have_the_gradient_of_the_image(text: str) -> None:
    """∂L/∂x by a complex step of each pixel."""
    spec = Spec.parse(",".join(filter(None, ("conv", text, SMALL))))
    weights, x, labels = problem(spec)
    seen = Reference(spec, weights).run(x, labels).pre_activation_gradients["image"]
    for pixel in range(0, spec.features, 5):
        moved = x.astype(complex)
        moved[:, pixel] += 1j * IMAGINARY
        reference = Reference(spec, weights, np.complex128)
        loss = LOSSES[spec.loss].f(reference.forward(moved).logits, reference.target(labels))
        np.testing.assert_allclose(np.imag(loss) / IMAGINARY, seen.reshape(len(x), -1)[:, pixel].sum(), rtol=1e-9, atol=1e-18)


@pytest.mark.parametrize(("text", "options"), [
    ("padding=valid", {"mode": "valid"}), ("", {"mode": "same"}), ("padding=circular", {"mode": "same", "boundary": "wrap"}),
])  # fmt: skip
def test_a_convolution_is_the_correlation_of_another_library(text: str, options: dict[str, str]) -> None:
    spec = Spec.parse(",".join(filter(None, ("conv", text, "depth=3", SMALL))))
    weights, x, _ = problem(spec)
    done = Reference(spec, weights).forward(x)
    below = np.tanh(done.pre_activations["conv1"])
    w, b = weights["conv2.weight"], weights["conv2.bias"]
    for sample in range(spec.batch):
        for channel in range(4):
            expected = b[channel] + sum(correlate2d(below[sample, c], w[channel, c], **options) for c in range(4))
            np.testing.assert_allclose(done.pre_activations["conv2"][sample, channel], expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("text", "sizes"), [
    ("stride=2", [(8, 4, (1, 1)), (4, 2, (1, 1)), (2, 1, (1, 1))]),
    ("stride=2,padding=same_at_end", [(8, 4, (0, 1)), (4, 2, (0, 1)), (2, 1, (0, 1))]),
    ("padding=valid", [(8, 6, (0, 0)), (6, 4, (0, 0)), (4, 2, (0, 0))]), ("dilation=2", [(8, 8, (2, 2))] * 3),
    ("kernel=5,stride=2,padding=same_at_end", [(8, 4, (1, 2)), (4, 2, (1, 2)), (2, 1, (1, 2))]),
])  # fmt: skip
def test_images_shrink_as_documented(text: str, sizes: list[tuple[int, int, tuple[int, int]]]) -> None:
    assert [(node.size_below, node.size, node.pads) for node in graph(Spec.parse(f"conv,{text}")).of(Conv)] == sizes


def test_a_tie_of_numbers_that_get_no_gradient_is_no_kink_and_another_is() -> None:
    off, alike = (Spec.parse(f"conv,depth=2,channels=3,pool=max,batch=2,act={act},precision=float64") for act in ("relu", "tanh"))
    weights = draw_weights(off, 0) | {"conv1.bias": np.array([-9.0, 0.0, 0.0])}
    x, labels = np.zeros((2, 64)), np.zeros(2, int)
    dead, tied = (Reference(spec, weights).run(x, labels).bends["pool1"] for spec in (off, alike))
    assert np.isinf(dead).all() and not tied.any()


@pytest.mark.parametrize(("text", "says"), [
    ("conv,depth=21", "more than 20"), ("conv,kernel=2", "use one of 1, 3, 5"), ("conv,depth=2,head=4", "use depth=3"),
    ("conv,dilation=2,stride=2", "Keras has no such"), ("conv,kernel=1,dilation=2", "a single one"),
    ("conv,groups=3", "must divide channels"), ("conv,convolution=depthwise,groups=2", "leave groups out"),
    ("conv,start=delta,kernel=1", "several taps"), ("conv,padding=same_at_end", "no stride"), ("conv,window=4", "use 2 or 3"),
    ("conv,pools=2", "pool=none has none"), ("conv,pool=max,pools=4", "more than the 3"),
    ("conv,pool=max,pool_padding=same", "no middle"), ("conv,pool=max,counted=yes", "counts padding"),
    ("conv,norm_at=after", "choose a norm"), ("conv,norm=group,norm_groups=3", "must divide channels"),
    ("conv,channels=2,norm=rms", "so few"), ("conv,read=max,flatten=channels_last", "leave flatten out"),
    ("conv,skip=two,depth=5", "in 2s"), ("conv,skip=one,stride=2", "one shape"), ("conv,depth=6,padding=valid", "does not fit"),
    ("conv,features=60", "no square"), ("conv,precision=mixed_float16", "not judged"), ("conv,norm=batch,batch=2", "too small"),
    ("conv,kernel=5,dilation=5,padding=circular", "more than once"), ("conv,pool=max,pools=3,window=3", "fewer pools"),
    ("conv,optimizer=adafactor", "use optimizer=adam"), ("conv,width=4", "is a field of"),
    ("conv,stride=2,norm=group,depth=4,norm_groups=4,channels=8", "so few numbers"),
])  # fmt: skip
def test_what_cannot_be_built_is_refused_in_one_sentence(text: str, says: str) -> None:
    with pytest.raises(SpecError, match=says):
        Spec.parse(text)


@pytest.mark.parametrize(
    "text", ["conv", "conv,depth=6,channels=4,norm=group,skip=two,optimizer=adam", "conv,features=784,pool=max,pools=2"]
)
def test_ids_read_back(text: str) -> None:
    spec = Spec.parse(text)
    assert spec.id == text and Spec.parse(spec.id) == spec
    learned, units = spec.arch.size(spec.features, spec.classes)
    assert learned == sum(int(np.prod(shape)) for shape in graph(spec).parameters.values()) and units > 0


def test_a_delta_start_convolves_each_pixel_by_itself() -> None:
    spec = Spec.parse("conv,depth=3,act=linear,init=orthogonal,start=delta,precision=float64")
    done = Reference(spec, draw_weights(spec, 0)).forward(np.random.default_rng(0).standard_normal((spec.batch, 64)))
    one, other = (np.linalg.norm(done.pre_activations[name], axis=1) for name in ("conv1", "conv2"))
    np.testing.assert_allclose(one, other, rtol=1e-12)
