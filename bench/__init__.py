"""How it is judged: laws, bounds, baselines, timing and reports. Nothing in here imports a framework."""

import sys

if not __debug__:
    print("gradgauge judges by assertions, which PYTHONOPTIMIZE and -O remove: unset the one and leave out the other.", file=sys.stderr)
    raise SystemExit(2)
