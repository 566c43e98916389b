"""`python -m bench.timing.duet.study`: series for the error rates of duets, by a study."""

import runpy

if __name__ == "__main__":
    runpy.run_module("bench.selftest.studies.duet.study", run_name="__main__", alter_sys=True)
