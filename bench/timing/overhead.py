"""`python -m bench.timing.overhead`: what recording costs, by a study."""

import runpy

if __name__ == "__main__":
    runpy.run_module("bench.selftest.studies.overhead", run_name="__main__", alter_sys=True)
