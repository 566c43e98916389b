"""Studies that measure the suite itself: how often it is right, what it costs, and results of the literature measured again."""
