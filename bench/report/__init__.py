"""What a person and a program read after a run."""
