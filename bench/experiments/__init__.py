"""Experiments at full size: the published results on deep networks, trained again in each framework, with tables, pictures and records."""
