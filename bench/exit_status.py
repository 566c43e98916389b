"""What a command's exit status says: one meaning each, for every command that compares.

1 is left to Python, which ends with it on an uncaught exception, and 3 to 9 to pytest. tox hands on the status of a single
environment and makes 1 of any when it runs several.
"""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """Exit status, the most serious first where several would hold: bad input, worse, environment, inconclusive, nothing, faster, same."""

    SAME = 0
    """Nothing is worse or slower; something may be better or faster."""
    BAD_INPUT = 2
    """A file, an option or a requirement that cannot be used; argparse ends with the same status."""
    WORSE = 10
    """Something that could be compared is worse or slower."""
    INCONCLUSIVE = 11
    """Nothing is worse, and for something the measurement cannot tell."""
    NOTHING = 12
    """Nothing was measured, or nothing that both sides have can be compared."""
    FASTER = 13
    """A duet's B side is faster or smaller, and nowhere slower: no fault, but not the same either."""
    ENVIRONMENT = 14
    """A worker crashed, hung, ran out of memory or could not be started; nothing is slower as far as was measured."""
    INTERRUPTED = 130
    """Ended by the user; what was measured is kept."""
