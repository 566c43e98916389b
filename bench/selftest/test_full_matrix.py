"""The full matrix is judged part by part: every network in one part, a part's line in the table, the table in a sentence."""

from __future__ import annotations

from bench.selftest.full_matrix import PARTS, line, rows, summary
from bench.selftest.full_matrix import PATH as TABLE
from bench.selftest.random_networks import Row
from bench.selftest.studies.tables import read
from models.matrix import networks


def test_parts_of_the_full_matrix_are_all_of_it_each_network_once() -> None:
    parts = [[row.network for row in rows(part)] for part in range(1, PARTS + 1)]
    assert sorted(network for part in parts for network in part) == sorted(spec.id for spec in networks("full"))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_the_line_of_a_part_counts_networks_and_what_became_of_them() -> None:
    done = line(2, [Row(0, 1, "depth=4", seconds=1.4, megabytes=900, judged=70, passed=8), Row(0, 2, "depth=8", red=["hung"])])
    assert (done.part, done.networks, done.judged, done.passed, done.red, done.seconds, done.megabytes) == (2, 2, 70, 8, 1, 1, 900)


def test_no_network_of_the_committed_parts_is_red() -> None:
    table = read(TABLE)
    assert table and all(int(row["judged"]) > 0 and row["red"] == "0" for row in table)
    assert f"{len(table)} of {PARTS} parts" in summary() and "0 networks red" in summary()
    assert summary().strip() in TABLE.with_name("README.md").read_text(encoding="utf-8")
