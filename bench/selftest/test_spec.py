"""Networks: their ids, what is refused, and the matrix."""

from __future__ import annotations

import math

import pytest

from models.architectures import graph
from models.matrix import AXES, left_out, main, networks
from models.reference.draws import draw_weights
from models.spec import Spec, SpecError


@pytest.mark.parametrize("spec", networks("core"), ids=lambda spec: spec.id)
def test_id_reads_back_as_the_same_network(spec: Spec) -> None:
    assert Spec.parse(spec.id) == spec


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("act=rleu", "did you mean relu?"),
        ("depht=3", "did you mean depth?"),
        ("depth=x", "must be a whole number"),
        ("width=2.5", "must be a whole number"),
        ("eps=x", "must be a number"),
        ("depth", "depth has no value: write field=value"),
        ("cell=lstm,depth=4", "cell is a field of rnn networks: write rnn,cell=lstm"),
        ("kernel=3", "write conv,kernel=3"),
        ("family=conv", "a family is written first and alone"),
        ("act=\x1b[31m", "act=\\x1b[31m is not known"),
        ("depth=4,depth=8", "depth is given twice"),
        ("classes=99999999999999999999", "the largest number that every framework counts with"),
        ("classes=1", "is one number and no class, which loss=cross_entropy cannot tell"),
        ("classes=0,loss=mse", "at least 1"),
        ("scale_growth=2147483648,precision=mixed_float16", "the largest number"),
        ("depth=2000000000,norm=group,groups=3", "must divide every hidden width [64]"),
        ("depth=1", "at least 2"),
        ("eps=0", "positive"),
        ("eps=nan", "positive"),
        ("lr=-1", "zero or a positive"),
        ("momentum=1", "[0, 1)"),
        ("skip=two,depth=5", "multiple of 2"),
        ("branch=zero", "set skip=one or skip=two"),
        ("bottleneck=3,skip=two", "must divide width"),
        ("norm_at=after", "choose a norm"),
        ("norm=group,groups=5", "must divide every hidden width"),
        ("norm=batch,batch=2", "too small"),
        ("decay=0.1", "adamw and muon only"),
        ("target_scale=2", "loss=mse"),
    ],
)
def test_nonsense_is_refused_in_one_sentence(text: str, words: str) -> None:
    with pytest.raises(SpecError) as refused:
        Spec.parse(text)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_core_moves_each_axis_alone_and_full_adds_pairs() -> None:
    core, full = networks("core"), networks("full")
    assert networks("smoke") == [Spec()]
    assert len(core) + len(left_out("core")) == 1 + sum(map(len, AXES.values()))
    assert set(core) < set(full)
    assert Spec.parse("norm=batch,skip=two") in full
    assert left_out("full")
    assert all(reason for _, reason in left_out("full"))


def test_listing_names_networks_and_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--cases=full"]) == 0
    listed = capsys.readouterr().out
    assert "\nnorm=batch\n" in listed
    assert "both sides set optimizer" in listed
    assert main(["--cases=nope"]) == 2
    assert "use one of smoke, core, full" in capsys.readouterr().err


@pytest.mark.parametrize("spec", [spec for spec in networks("core") if spec.arch.layered], ids=lambda spec: spec.id)
def test_every_weight_layer_is_wired_once_with_fitting_widths(spec: Spec) -> None:
    dense = graph(spec).dense
    assert [node.name for node in dense] == [f"dense{layer}" for layer in range(1, spec.arch.depth + 1)]
    assert [node.fan_out for node in dense[:-1]] == [node.fan_in for node in dense[1:]]
    weights = draw_weights(spec.on("torch"), 0)
    assert {name: value.shape for name, value in weights.items()} == graph(spec).parameters
    assert weights["dense1.weight"].shape == (spec.arch.width, spec.features)


@pytest.mark.parametrize("network", [*(spec.id for spec in networks("core")), "depth=3", "depth=4,bottleneck=4,classes=3,norm=rms"])
def test_a_network_is_weighed_by_its_fields_as_if_it_were_built(network: str) -> None:
    spec = Spec.parse(network)
    built = graph(spec)
    numbers = sum(math.prod(shape) for shape in built.parameters.values())
    assert spec.arch.size(spec.features, spec.classes) == (numbers, sum(math.prod(node.per_sample) for node in built.nodes))


@pytest.mark.parametrize("text", ["x" * 5000, "depth=" + "9" * 5000, "act=" + "é" * 5000, ",".join(["depth=4"] * 500)])
def test_a_long_text_is_cut_in_what_refuses_it(text: str) -> None:
    with pytest.raises(SpecError) as refused:
        Spec.parse(text)
    assert len(str(refused.value)) < 500


def test_spaces_around_an_equals_sign_are_nothing() -> None:
    assert Spec.parse("depth = 4 , act =relu") == Spec.parse("depth=4,act=relu")
