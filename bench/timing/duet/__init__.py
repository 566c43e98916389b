"""Two environments, two frameworks or two modes compared by the time of a training step: `python -m bench.timing.duet --a … --b …`."""
