"""Who waits for a long computation is told how far it is."""

from __future__ import annotations

from bench import progress
from bench.progress import shown, track


def test_what_takes_long_says_how_far_it_is_and_how_long_it_will_take(monkeypatch, capsys):
    times = iter(range(0, 1000, 4))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(times)))
    with shown():
        assert list(track(range(5), "networks")) == list(range(5))
    assert capsys.readouterr().err == "networks: 1 of 5, 0:08, 0:32 left\nnetworks: 3 of 5, 0:16, 0:10 left\n"


def test_nothing_is_told_where_nobody_waits(monkeypatch, capsys):
    monkeypatch.setattr(progress, "QUIET", 0.0)
    assert list(track(range(5), "networks")) == list(range(5))
    assert capsys.readouterr().err == ""
