"""How long a training step takes, what it is compared with, and what our own loop adds."""
