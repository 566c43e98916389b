"""Files as a user of `--model` writes them, around models that nobody here wrote; only workers and planted faults load them."""
