"""The same networks in several releases of the frameworks: `python -m bench.versions keras==3.10.0 keras==3.12.0`."""
