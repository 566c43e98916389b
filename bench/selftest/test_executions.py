"""Recorded seeds trained again on other threads and instructions and beside other load: the committed table, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bench.selftest.studies.executions import EVERY, EXECUTIONS, PATH, summary
from models.matrix import networks


def test_the_table_has_every_execution_of_both_frameworks_and_no_alarm() -> None:
    found = pd.read_csv(PATH)
    chosen = [spec for spec in networks("core") if spec.trained][EVERY]
    assert sorted(zip(found["backend"], found["execution"], strict=True)) == sorted((b, e) for b in ("keras", "torch") for e in EXECUTIONS)
    assert set(found["trainings"]) == {len(chosen)} and not found["outside"].any() and (found["numbers"] > 1000).all()
    assert found["trainings"].sum() >= 200


def test_the_readme_says_what_the_table_says() -> None:
    readme = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
    assert summary(pd.read_csv(PATH)) in readme
