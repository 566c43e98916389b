"""How it is judged: laws, bounds, baselines, timing and reports. Nothing in here imports a framework."""
