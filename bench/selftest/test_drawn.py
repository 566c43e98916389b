"""What random networks are drawn from: every field and value of every family, new ones without a change; and each field at its edges."""

from __future__ import annotations

from collections import Counter

import pytest

from bench.selftest import drawn, edges
from bench.selftest.drawn import choices, draw
from models.architectures import FAMILIES
from models.architectures.recurrent import RNN
from models.spec import Spec, Value

NEVER: dict[str, dict[str, set[Value]]] = {
    "conv": {
        "optimizer": {"adafactor"}, "precision": {"mixed_bfloat16", "mixed_float16"}, "loss_scale": {1.0, 2.0**15}, "scale_growth": {20},
    },
    "ode": {"precision": {"mixed_bfloat16", "mixed_float16"}, "loss_scale": {1.0, 2.0**15}, "scale_growth": {20}},
}  # fmt: skip
"""Values that a family refuses beside whatever else."""


@pytest.mark.parametrize("family", FAMILIES)
def test_every_value_of_every_field_is_drawn_and_every_network_reads_back(family: str) -> None:
    draws = [draw(0, number, family) for number in range(1200)]
    assert all(Spec.parse(each.spec.id) == each.spec for each in draws)
    counts = Counter(item for each in draws for item in each.spec.fields.items())
    missing = {(name, value) for name, values in choices(family).items() for value in values if not counts[name, value]}
    assert missing == {(name, value) for name, values in NEVER.get(family, {}).items() for value in values}
    assert set(choices(family)) == set(draws[0].spec.fields) - {drawn.GIVEN}
    assert draw(1, 7, family) == draw(1, 7, family) != draw(2, 7, family)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_refused_is_a_sentence_that_names_the_field_or_what_it_contradicts(family: str) -> None:
    refused = [sentence for number in range(100) for sentence in draw(0, number, family).refused]
    refused += edges.networks(family)[1].values()
    assert len(refused) > 200
    assert [text for text in refused if not text.endswith(".") or "\n" in text or not 20 < len(text) < 250] == []


class Newer(RNN, frozen=True, kw_only=True, tag_field="family", tag="newer"):
    """A family with a number and a word that nothing here names."""

    lobes: int = 3
    slope: float = 0.2
    taste: str = "sweet"

    CHOICES = RNN.CHOICES | {"taste": ("sweet", "sour")}


def test_a_new_field_is_drawn_and_tried_at_its_edges_without_another_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "newer", Newer)
    fields = [draw(0, number, "newer").spec.fields for number in range(60)]
    assert {each["lobes"] for each in fields} == {2, 3, 7} and {each["taste"] for each in fields} == {"sweet", "sour"}
    assert len({each["slope"] for each in fields}) == 3
    tried, _ = edges.networks("newer")
    assert {"newer,lobes=1", "newer,lobes=2", "newer,slope=1e+06"} <= {text.replace("width=4,length=4,batch=8,", "") for text in tried}


class Unnamed(RNN, frozen=True, kw_only=True, tag_field="family", tag="unnamed"):
    """A family with a word whose choices it does not name."""

    taste: str = "sweet"


def test_a_word_without_choices_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "unnamed", Unnamed)
    with pytest.raises(TypeError, match="name them in its record's CHOICES"):
        choices("unnamed")


def test_a_value_that_joins_changes_those_networks_alone_in_which_it_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [draw(0, number).spec for number in range(100)]
    monkeypatch.setitem(drawn.NUMBERS[""], "batch", (*drawn.NUMBERS[""]["batch"], 100))
    after = [draw(0, number).spec for number in range(100)]
    changed = [spec for spec, usual in zip(after, before, strict=True) if spec != usual]
    assert 3 < len(changed) < 30 and all(spec.batch == 100 for spec in changed)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_number_of_a_family_is_tried_at_an_edge(family: str) -> None:
    tried, refused = edges.networks(family)
    texts = [*tried, *refused]
    numbers = [name for name, usual in Spec.of(family).fields.items() if not isinstance(usual, str)]
    assert [name for name in numbers if not any(f"{name}=" in text for text in texts)] == []
    assert all(Spec.parse(text).id == text for text in tried)
