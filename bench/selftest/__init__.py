"""Who judges the judges."""
