"""A plugin of pytest that notes what a run spends, and on what: `python -m bench profile` asks for it.

pytest loads it before anything else, so that it imports nothing that pytest would rewrite.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.spent import JUDGE, WORKERS

JUDGING = "judge"
SPENT: Counter[tuple[str, str]] = Counter()
"""Processor seconds of the judge, by what was judged and stage."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where the numbers go."""
    parser.addoption("--spent", metavar="FILE", type=Path, required=True, help="write processor seconds by process and stage here")


def pytest_collection_finish() -> None:
    """What came before the first test."""
    _note("", {"imports and collection": time.process_time() - sum(_note("", JUDGE.take()).values())})


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """What the judge spends on a test goes to its network or equality."""
    with JUDGE.stage("pytest"):
        done = yield
    cases = getattr(getattr(item, "callspec", None), "params", {}).values()
    _note(next((case.network for case in cases if hasattr(case, "network")), ""), JUDGE.take())
    return done


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """What is left is the summary, the record, and threads that wait for workers."""
    if not WORKERS:
        return
    _note("", JUDGE.take())
    _note("", {"other": time.process_time() - sum(SPENT.values())})
    stages, subjects = dict[str, Counter[str]](), dict[str, Counter[str]]()
    for process, spent in {JUDGING: SPENT, **WORKERS}.items():
        stages[process], subjects[process] = Counter(), Counter()
        for (subject, stage), seconds in spent.items():
            stages[process][stage] += seconds
            subjects[process][subject or "(none)"] += seconds
        del subjects[process]["(none)"]
    option = config.option
    of_run = {name: getattr(option, name) for name in ("backends", "seeds", "data", "device", "threads")}
    of_run["networks"] = [spec.id for spec in option.networks]
    option.spent.write_text(json.dumps({"stages": stages, "subjects": subjects, **of_run}), encoding="utf-8")


def _note(subject: str, stages: dict[str, float]) -> dict[str, float]:
    SPENT.update({(subject, stage): seconds for stage, seconds in stages.items()})
    return stages
