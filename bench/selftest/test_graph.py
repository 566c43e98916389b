"""Graphs of named nodes: the same parameters under new names, so that recordings stay readable; and what is asked of a graph."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from models.architectures import graph
from models.matrix import networks, symmetric
from models.naming import describe, describe_part, kind_of, layer_of, signal_of
from models.nodes import Activate, Normalize, Sum
from models.parts.norms import NORMS
from models.reference.draws import draw_weights
from models.spec import Spec

ROOT = Path(__file__).resolve().parents[2]
NETWORKS = list(dict.fromkeys([*networks("core"), *symmetric()]))
LAYERED = [spec for spec in NETWORKS if spec.arch.layered]
NAME = re.compile(r"(dense|norm)(\d+)\.(weight|bias|scale|shift)")


def numbered(spec: Spec) -> list[str]:
    """Names of parameters as recordings had them: `5.weight`, in their order."""
    norm = spec.arch.norm
    learned = () if norm == "none" else NORMS[norm].parameters
    names = [f"{layer}.{kind}" for layer in range(1, spec.arch.depth) for kind in ("weight", "bias", *learned)]
    names += [f"{spec.arch.depth}.{kind}" for kind in ("weight", "bias")]
    return sorted(names, key=lambda name: (int(name.partition(".")[0]), name))


@pytest.mark.parametrize("spec", LAYERED, ids=lambda spec: spec.id)
def test_parameters_are_one_to_one_with_numbered_layers_and_in_their_order(spec: Spec) -> None:
    matches = [NAME.fullmatch(name) for name in graph(spec).parameters]
    assert [f"{match[2]}.{match[3]}" for match in matches if match] == numbered(spec)
    assert all((match[1] == "dense") == (match[3] in ("weight", "bias")) for match in matches if match)
    assert [layer_of(node.name) for node in graph(spec).dense] == list(range(1, spec.arch.depth + 1))


@pytest.mark.parametrize("recording", sorted((ROOT / "baselines").glob("*-cpu.json")), ids=lambda path: path.stem)
def test_recorded_metrics_are_those_of_numbered_layers(recording: Path) -> None:
    metrics = [key for key in json.loads(recording.read_text(encoding="utf-8"))["samples"] if "/gradient layer " in key]
    assert metrics
    for key in metrics:
        _, network, metric = key.split("/")
        layers = {layer_of(node.name) for node in graph(Spec.parse(network)).nodes if node.parameters}
        assert int(metric.removeprefix("gradient layer ")) in layers


@pytest.mark.parametrize("spec", NETWORKS, ids=lambda spec: spec.id)
def test_every_node_reads_what_was_computed_before_it_and_one_result_is_the_output(spec: Spec) -> None:
    nodes, known = graph(spec), {"input"}
    for node in nodes.nodes:
        assert set(node.inputs) <= known
        known.add(node.name)
    assert len(known) == len(nodes.nodes) + 1, "names are unique"
    assert [name for name, readers in nodes.readers.items() if not readers] == [nodes.nodes[-1].name]
    assert nodes.nodes[-1].width == spec.classes
    forgotten = [name for names in nodes.forgotten.values() for name in names]
    assert sorted([*forgotten, nodes.nodes[-1].name]) == sorted(known)


def test_wiring_of_residual_blocks() -> None:
    post, pre = (graph(Spec.parse(f"depth=6,skip=two,norm=layer,skip_order={order}")) for order in ("post", "pre"))
    names = [[node.name for node in block.body] for block in post.blocks]
    assert names == [["dense2", "norm2", "act2", "dense3", "norm3"], ["dense4", "norm4", "act4", "dense5", "norm5"]]
    names = [[node.name for node in block.body] for block in pre.blocks]
    assert names == [["norm1", "act1", "dense2", "norm2", "act2", "dense3"], ["norm3", "act3", "dense4", "norm4", "act4", "dense5"]]
    learned = graph(Spec.parse("depth=6,skip=two,norm=layer,branch=rezero"))
    assert [block.body[-1] for block in learned.blocks] == [block.multiply for block in learned.blocks]
    assert [learned.parameters[f"branch{layer}.multiplier"] for layer in (3, 5)] == [(1,), (1,)]
    assert [node.inputs for node in pre.of(Sum)] == [("dense1", "dense3"), ("sum3", "dense5")]
    assert [(joint.left.name, joint.right.name) for joint in pre.joints] == [("dense2", "dense3"), ("dense4", "dense5")]
    assert [[type(node) for node in joint.between] for joint in pre.joints] == [[Normalize, Activate]] * 2


def test_plain_networks_are_joined_all_along() -> None:
    joints = graph(Spec.of(depth=4)).joints
    assert [(joint.left.layer, joint.right.layer) for joint in joints] == [(1, 2), (2, 3), (3, 4)]


def test_names_as_a_person_reads_them() -> None:
    assert [describe(name) for name in ("dense5", "dense12.weight", "norm5.scale", "loss")] == [
        "layer  5", "layer 12 weight", "layer  5 scale", "loss",
    ]  # fmt: skip
    assert describe("block3.conv1.weight") == "block3 conv1 weight"
    assert [describe(name) for name in ("recurrent1.recurrent_weight", "steps")] == ["layer  1 recurrent weight", "steps"]
    assert [describe_part(name) for name in ("dense5", "norm5", "act12")] == ["layer  5 dense", "layer  5 normalize", "layer 12 activate"]
    assert (signal_of("norm5.scale", ["dense4", "dense5"]), kind_of("norm5.scale")) == ("dense5", "scale")
    assert [signal_of(name, ["image", "conv1", "pool1"]) for name in ("norm1.shift", "conv1.weight")] == ["conv1", "conv1"]


def test_weights_have_the_shapes_that_the_graph_says() -> None:
    spec = Spec.parse("bottleneck=4,skip=two,skip_order=pre,norm=rms")
    drawn = draw_weights(spec, 0)
    assert {name: np.shape(value) for name, value in drawn.items()} == graph(spec).parameters


def test_a_family_may_be_named_and_the_first_one_need_not() -> None:
    assert Spec.parse("mlp,depth=4,act=tanh") == Spec.parse("depth=4,act=tanh") == Spec.of(depth=4, act="tanh")
    assert Spec.parse("mlp").id == "reference"
    assert Spec.parse("depth=4,batch=16").but(act="tanh", loss="mse").id == "depth=4,batch=16,act=tanh,loss=mse"
