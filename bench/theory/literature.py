"""`python -m bench.theory.literature`: results of the literature, measured again by a study."""

import runpy

if __name__ == "__main__":
    runpy.run_module("bench.selftest.studies.literature", run_name="__main__", alter_sys=True)
