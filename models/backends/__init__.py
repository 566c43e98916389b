"""In which framework: one folder a backend. Frameworks are imported here alone."""
