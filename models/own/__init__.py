"""A user's own model and published networks: how one is named, what its factory returns, and what crosses the border of it."""
