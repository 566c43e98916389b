"""Results of the literature, measured again in the frameworks: settings, source and what differs stand with each.

`python -m bench.selftest.studies.literature explosion` (or another study; `trainable_depth` with `--data-dir=DIR`) measures, prints, and
with `--record` replaces what is kept in `bench/selftest/studies/literature/recorded/`: numbers as JSON and the picture drawn from them.
"""
