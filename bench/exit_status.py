"""What a command's exit status says: one meaning each, for every command.

Where a command looks at two things or more, the first named is the old one and the last named the new one. pytest's own are 2 for an
interrupt, 3 for an error of pytest, 4 for an option that cannot be used and 5 where no test was collected; Python ends with 1 on an
uncaught exception. tox hands on the status of a single environment and makes 1 of any when it runs several.
"""

import functools
import sys
from collections.abc import Callable
from enum import IntEnum
from typing import ParamSpec

P = ParamSpec("P")


class Status(IntEnum):
    """Exit status; where several would hold, a command ends with the most serious one, which stands first in `SERIOUS`."""

    SAME = 0
    """Nothing is worse or slower, and nothing is outside its bound; something may be better."""
    FAILING = 1
    """Something is outside its bound, and was so in the old one, or there is no old one: what pytest means by 1."""
    BAD_INPUT = 2
    """A file, an option or a requirement that cannot be used; argparse ends with the same status."""
    WORSE = 10
    """Something is worse, slower or larger in the new one than in the old one."""
    INCONCLUSIVE = 11
    """Nothing is worse, and for something the measurement cannot tell, or less was judged than before."""
    NOTHING = 12
    """Nothing was judged or measured, or nothing that both have can be compared."""
    FASTER = 13
    """Only where the two sides are equals (a duet, a bisection): the new one is faster, smaller or mended, and nowhere worse."""
    ENVIRONMENT = 14
    """A process crashed, hung, ran out of memory or could not be started; nothing is worse as far as was measured."""
    INTERRUPTED = 130
    """Ended by the user; what was measured is kept."""


SERIOUS = (
    Status.INTERRUPTED, Status.BAD_INPUT, Status.WORSE, Status.ENVIRONMENT, Status.FAILING, Status.INCONCLUSIVE, Status.NOTHING,
    Status.FASTER, Status.SAME,
)  # fmt: skip


def most_serious(statuses: set[Status]) -> Status:
    """The status that a command ends with; NOTHING where there is none."""
    return next((status for status in SERIOUS if status in statuses), Status.NOTHING)


def ends_with(status: Status, *errors: type[Exception]) -> Callable[[Callable[P, Status]], Callable[P, Status]]:
    """Decorates a command, which then prints the sentence of any of these errors and ends with `status`."""

    def decorated(main: Callable[P, Status]) -> Callable[P, Status]:
        @functools.wraps(main)
        def command(*arguments: P.args, **named: P.kwargs) -> Status:
            try:
                return main(*arguments, **named)
            except errors as error:
                print(error, file=sys.stderr)
                return status

        return command

    return decorated
