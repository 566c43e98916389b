"""Executions of one training that differ in rounding alone: what a recording compares, to know how far a healthy one strays."""

from __future__ import annotations

USUAL = "as usual"
"""The execution of every run."""
ELSEWHERE = "moved start, fewer instructions"
"""From weights moved by one unit in the last place, with fewer of the processor's instructions: another machine, as far as this one can
play it."""
EXECUTIONS = (USUAL, ELSEWHERE)
"""Those of a recording, in the order of its columns."""
