"""What is trained: one network description, and the backends that build it. Frameworks are imported here and nowhere else."""
