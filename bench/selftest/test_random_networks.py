"""Random networks are judged, fresh ones every week; one that takes too much is ended and told, and the next judged."""

from __future__ import annotations

import datetime
import os
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from bench.selftest import random_networks as subject
from bench.selftest.random_networks import NUMBERS, WORDS, Row, draw, read, run, summary, table
from models.spec import Spec

FIXED = 739_948
"""The seed of the networks that every change is tried on, so that none is red for what another one brought."""
TODAY = datetime.datetime.now(tz=datetime.UTC).date().toordinal()
"""The seed of today's networks, the same all day; the weekly job draws with it."""


@pytest.mark.parametrize(("seed", "networks"), [(FIXED, 20), pytest.param(TODAY, 200, marks=pytest.mark.slow)])
def test_random_networks_are_judged_and_healthy_frameworks_not_blamed(seed: int, networks: int, tmp_path: Path) -> None:
    rows = run(seed, networks, tmp_path / "rows.jsonl")
    again = f"python -m bench random-networks --seed={seed} --networks={networks}"
    assert [(row.network, row.red) for row in rows if row.red] == [], again
    assert all(row.judged > 0 for row in rows)


def test_every_value_of_every_field_is_drawn_and_every_network_reads_back() -> None:
    drawn = [draw(0, number) for number in range(1500)]
    assert all(Spec.parse(spec.id) == spec for spec in drawn)
    counts = Counter((name, value) for spec in drawn for name, value in spec.fields.items())
    words = {**WORDS, **type(drawn[0].arch).CHOICES}
    missing = [(name, value) for name, values in {**NUMBERS, **words}.items() for value in values if not counts[name, value]]
    assert not missing
    assert max(spec.arch.depth for spec in drawn) == 24 and draw(1, 7) == draw(1, 7) != draw(2, 7)


def _greedy(rows: list[Row], answers: Connection) -> None:
    for row in rows:
        if row.network == "memory":
            held = bytearray(300_000_000)
            time.sleep(60)
            held.clear()
        if row.network == "endless":
            while True:
                pass
        if row.network == "dies":
            os._exit(7)
        row.judged = 1
        answers.send(row)


def test_a_network_that_takes_too_much_or_kills_its_judge_is_red_and_the_next_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "LONGEST", 3.0)
    monkeypatch.setattr(subject, "LARGEST", 350.0)
    monkeypatch.setattr(subject, "judge_each", _greedy)
    names = ("fine", "memory", "endless", "dies", "fine")
    rows = list(subject._judged([Row(0, number, name) for number, name in enumerate(names)]))
    assert [row.network for row in rows] == list(names)
    assert [row.red for row in rows] == [
        [], ["more than 350 MB"], ["more than 3 s of a processor"], ["the judge ended with status 7"], [],
    ]  # fmt: skip


def test_what_is_done_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "judge_each", _greedy)
    first = run(3, 2, tmp_path / "rows.jsonl")
    monkeypatch.setattr(subject, "_judged", lambda rows: pytest.fail("judged again") if rows else iter(()))
    assert run(3, 2, tmp_path / "rows.jsonl") == first
    assert "2 random networks" in summary(table(first))


def test_the_committed_table_is_of_many_networks_and_none_is_red_without_a_reason() -> None:
    frame = read()
    assert len(frame) >= 20 and frame["network"].is_unique
    assert not frame["red"].any(), frame[frame["red"].astype(bool)].to_string()
    assert frame["judged"].min() > 0
