"""`python -m bench.theory.accuracy`: predicted against measured gains, by a study."""

import runpy

if __name__ == "__main__":
    runpy.run_module("bench.selftest.studies.theory_accuracy", run_name="__main__", alter_sys=True)
