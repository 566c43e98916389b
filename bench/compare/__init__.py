"""What changed between two runs: `python -m bench.compare OLD.json NEW.json`."""
