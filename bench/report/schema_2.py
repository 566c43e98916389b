"""Records of schema 2, whose places were text: brought into the form of schema 3."""

from __future__ import annotations

from typing import Any

Raw = dict[str, Any]
"""Decoded JSON, whose types are checked after it was brought into the new form."""
RENAMED = {"network": "subject", "left": "headroom", "left_where": "tightest"}


def upgraded(raw: Raw) -> Raw:
    """The record with its places in a list. Raises TypeError, ValueError, KeyError or AttributeError where it is none of schema 2."""
    places: dict[str, int] = {}
    verdicts = [_verdict(each, places) for each in raw["verdicts"]]
    calls = [_call(each) for each in raw.get("calls", [])]
    return {**raw, "schema": 3, "verdicts": verdicts, "calls": calls, "places": [{"quantity": text} for text in places]}


def _verdict(old: Raw, places: dict[str, int]) -> Raw:
    new = {RENAMED.get(name, name): value for name, value in old.items()}
    new["findings"] = [[places.setdefault(where, len(places)), *rest] for where, *rest in old["findings"]]
    where = old["left_where"]
    new["tightest"] = places.setdefault(where, len(places)) if where else None
    return new


def _call(old: Raw) -> Raw:
    """Schema 2 had a call of an entry point as if it were a step of a network named `call batch=16`."""
    batch = int(old["network"].removeprefix("call batch="))
    return {
        "backend": old["backend"], "entry": old["mode"], "batch": batch, "first_call_s": old["first_step_s"], "call_ms": old["step_ms"],
    }  # fmt: skip
