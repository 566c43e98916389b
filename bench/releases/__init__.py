"""Which Keras release breaks what: equalities and gradient parity on real releases: `python -m bench.releases`."""
