"""A compiled step is judged as users run it: by code for several threads."""

from __future__ import annotations

import pytest

from bench.selftest.studies.own_models import GAUGES
from models.own.address import own_models
from models.own.protocol import PassVariant


def test_a_step_is_compiled_for_several_threads(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    torch, subjects = pytest.importorskip("torch"), pytest.importorskip("models.backends.torch.own.subject")
    threads = []
    monkeypatch.setattr(torch, "compile", lambda model: (threads.append(torch.get_num_threads()), model)[1])
    usual = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        subject = subjects.Subject(own_models([f"{GAUGES}/issues_torch.py:enlarged"], tmp_path)[0], 0, "cpu")
        subject.watch()
        compiled = next(v for v in subject.variants(compiled=True) if isinstance(v, PassVariant) and v.name == "compile")
        compiled.run(subject.twin())
        assert threads == [subjects.COMPILED_THREADS]
        assert subjects.COMPILED_THREADS > 1
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(usual)
