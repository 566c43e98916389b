"""The table at the end of a run: every cell says what it can hold, and no word is cut without a sign."""

from __future__ import annotations

import pytest

from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.verdict import FAILED, KNOWN, NOT_APPLICABLE, NOT_JUDGED, Verdict
from bench.report import text_table
from bench.report.summary import CELL, counted, memory, table, verdict_line
from bench.report.texts import shortened
from bench.selftest.made_up import verdict
from fixtures.plugin.terminal import mark

LONG = "precision=mixed_bfloat16,batch=256,loss_scale=1"


def seen(*statuses: str) -> list[Verdict]:
    near = [Finding(Place("layer  1"), 0.5, 0.0, 1.0)]
    return [verdict("update", "keras", LONG, near, status) for status in ("", *statuses)]


@pytest.mark.parametrize(
    ("statuses", "cell"),
    [
        ((), "  1/1    50% headroom at precision=mixed_bfloat16,…"),
        ((NOT_JUDGED,), "  1/2    50% headroom, 1 not judged"),
        ((KNOWN, KNOWN), "  1/3    50% headroom, 2 known failures"),
        ((KNOWN, NOT_JUDGED, NOT_JUDGED), "  1/4    50% headroom, 1 known failure, 2 not judged"),
    ],
)
def test_a_cell_holds_what_was_left_and_what_was_not_judged(statuses: tuple[str, ...], cell: str) -> None:
    row = table(seen(*statuses))[1]
    assert row.endswith(cell) and len(cell) <= CELL


@pytest.mark.parametrize("room", range(60))
def test_a_subject_loses_whole_fields(room: int) -> None:
    short = shortened(LONG, room)
    assert len(short) <= room
    assert short in ("", LONG) or (short.endswith(",…") and set(short[:-2].split(",")) < set(LONG.split(",")))


def test_a_failure_that_is_too_long_loses_fields_and_words() -> None:
    far = [Finding(Place("∂W Wᵀ against Wᵀ∂W of the next", "dense12", step=0), 2.0, 0.0, 1.0)]
    row = table([verdict("update", "keras", LONG, far)])[1]
    assert row.endswith("  0/1   ✗ precision=mixed_bfloat16,… step 0 layer 12…")


def test_the_last_line_does_not_pass_over_known_failures() -> None:
    verdicts = [
        verdict("activation", "keras", "act=selu", [Finding(Place("slope"), 0.7, 0, 1e-6)], status=KNOWN),
        verdict("finite", "keras", "act=selu", [Finding(Place("loss"), 0, 0, 0)]),
    ]
    assert verdict_line(verdicts, 0) == "keras: every judged number is within its bound, but for 1 known failure (2 numbers)."
    assert verdict_line(verdicts[1:], 0) == "keras: every judged number is within its bound (1 number)."


def test_a_verdict_that_passed_over_some_numbers_says_that_it_is_one_in_part() -> None:
    partly = verdict("training", "torch", "depth=64", [Finding(Place("loss"), 1.0, 0.5, 2.0)])
    partly.reason = "gradient not judged"
    assert counted([partly, partly]) == ["2 × torch judged in part: gradient not judged"]


def test_progress_names_every_check_that_failed_and_counts_others_where_they_are_many() -> None:
    checks = ["finite", "update", "symmetry", "clipping", "training"]
    assert mark(FAILED, checks) == "✗ finite, update, symmetry, clipping, training"
    assert mark(NOT_APPLICABLE, checks) == "not applicable 5 checks"
    assert mark(NOT_APPLICABLE, checks[:4]) == "not applicable finite, update, symmetry, clipping"
    assert mark(KNOWN, []) == ""


def test_what_processes_hold_together_is_named_whichever_process_told_it_first() -> None:
    told = "peak resident memory: judge 300 MB · torch 400 MB; together 600 MB at one time"
    assert memory({"judge": 300.0, "torch": 400.0, "together": 600.0}) == told
    assert memory({"judge": 300.0, "together": 600.0, "torch": 400.0}) == told


def test_a_table_is_as_wide_as_its_words_and_cuts_between_them() -> None:
    rows = [("check", "b ÷ a"), ("update", "1.000 (0.990 … 1.010)")]
    assert text_table.lines(rows) == ["check   b ÷ a", "update  1.000 (0.990 … 1.010)"]
    assert text_table.lines(rows, 12) == ["check   b ÷ a", "update  1.000…"]
    assert text_table.cut("depth=4,norm=layer", 12) == "depth=4,…"
    assert text_table.cut("gradient_parity", 9) == "gradient…"
    assert text_table.markdown(rows, numbers=True) == ["| check | b ÷ a |", "|---|---:|", "| update | 1.000 (0.990 … 1.010) |"]
