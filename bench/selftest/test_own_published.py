"""Published networks begin where there is something to judge."""

from __future__ import annotations

import importlib

import pytest


def test_a_published_network_begins_where_gradients_reach_all_of_it() -> None:
    """A vision transformer's read-out is zero in its paper, so that nothing else would have a gradient to judge."""
    pytest.importorskip("torch")
    made = importlib.import_module("models.backends.torch.own.collections").factory("torchvision", "vit_ti_16")()
    images, labels = made["batch"]
    made["loss"](made["model"](images), labels).backward()
    assert [name for name, p in made["model"].named_parameters() if not p.grad.any()] == []


@pytest.mark.parametrize(("name", "pixels"), [("squeezenet1_0", 64), ("vit_b_32", 224), ("maxvit_t", 224), ("swin_t", 64)])
def test_images_are_as_large_as_a_network_needs(name: str, pixels: int) -> None:
    pytest.importorskip("torch")
    images, _ = importlib.import_module("models.backends.torch.own.collections").factory("torchvision", name)()["batch"]
    assert images.shape[-1] == pixels
