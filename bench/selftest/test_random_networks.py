"""Random networks are judged, fresh ones every week; one that takes too much is ended and told, and the next judged."""

from __future__ import annotations

import datetime
import os
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import pytest

from bench.exit_status import Status
from bench.selftest import edges
from bench.selftest import random_networks as subject
from bench.selftest.random_networks import Row, drawn, read, run, summary, table
from models.architectures import FAMILIES

FIXED = 739_948
"""The seed of the networks that every change is tried on, so that none is red for what another one brought."""
TODAY = datetime.datetime.now(tz=datetime.UTC).date().toordinal()
"""The seed of today's networks, the same all day; the weekly job draws with it."""


@pytest.mark.parametrize(
    ("seed", "family", "networks"),
    [
        (FIXED, "mlp", 10), (FIXED, "rnn", 5), (FIXED, "conv", 5),
        *(pytest.param(TODAY, family, 70, marks=pytest.mark.slow) for family in FAMILIES),
    ],
)  # fmt: skip
def test_random_networks_are_judged_and_healthy_frameworks_not_blamed(seed: int, family: str, networks: int, tmp_path: Path) -> None:
    rows = run(drawn(seed, networks, family), tmp_path / "rows.jsonl")
    again = f"python -m bench random-networks --seed={seed} --networks={networks} --family={family}"
    assert [(row.network, row.red) for row in rows if row.red] == [], again
    whole = [row for row in rows if set(row.lacking) != {"torch", "keras"}]  # the others have a part of each framework alone
    assert all(row.judged > 0 for row in whole) and 2 * len(whole) > len(rows)


def _greedy(rows: list[Row], backends: Sequence[str], answers: Connection) -> None:
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
    first = run(drawn(3, 2), tmp_path / "rows.jsonl")
    monkeypatch.setattr(subject, "_judged", lambda rows, backends: pytest.fail("judged again") if rows else iter(()))
    assert run(drawn(3, 2), tmp_path / "rows.jsonl") == first
    assert "2 random networks" in summary(table(first))


def test_the_committed_table_is_of_many_networks_and_none_is_red() -> None:
    frame = read()
    assert len(frame) >= 200 and frame["network"].is_unique
    assert list(frame["network"][frame["red"].astype(bool)]) == []
    assert frame["judged"][frame["lacking"] != "torch; keras"].min() > 0


def test_a_framework_that_lacks_a_part_is_counted_apart(tmp_path: Path) -> None:
    (row,) = run([Row(0, 0, "depth=2,width=2,batch=4,optimizer=radam")], tmp_path / "rows.jsonl")
    assert (row.lacking, row.red) == (["keras"], []) and row.judged > 0
    assert "of 1 networks a framework lacks a part" in summary(table([row]))


def test_a_backend_that_is_not_known_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["random-networks", "--backend=torch,kears"])
    with pytest.raises(SystemExit) as ended:
        subject.main()
    assert ended.value.code == 2 and "--backend=kears is not known: use one or several of torch, keras" in capsys.readouterr().err


def test_edges_that_are_refused_are_listed_with_the_sentence_and_the_others_judged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Row] = []

    def judged(rows: list[Row], backends: list[str]) -> list[Row]:
        asked.extend(rows)
        return [msgspec.structs.replace(row, judged=1) for row in rows]

    monkeypatch.setattr(sys, "argv", ["random-networks", "--edges", "--family=rnn"])
    monkeypatch.setattr(subject, "run", judged)
    assert subject.main() == Status.SAME
    printed = capsys.readouterr().out
    assert "refused  rnn,width=4,length=4,batch=8,layers=0: layers=0 must be a whole number of at least 1.\n" in printed
    assert "rnn,width=4,length=1,batch=8" in {row.network for row in asked} and f"{len(asked)} random networks" in printed


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_every_field_at_its_edges_is_judged_and_no_healthy_framework_blamed(family: str, tmp_path: Path) -> None:
    asked, _ = edges.networks(family)
    rows = run([Row(0, number, network) for number, network in enumerate(asked)], tmp_path / "rows.jsonl")
    assert [(row.network, row.red) for row in rows if row.red] == [], f"python -m bench random-networks --edges --family={family}"
    assert all(row.judged > 0 for row in rows)
