"""What was seen before: samples, recordings, intervals, and known failures."""
