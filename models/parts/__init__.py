"""What a network is made of: tables of rows, each the written-out law beside the two frameworks' own parts.

A row is the one place to add a part. Its mathematics is NumPy; `torch` and `keras` are functions that receive the
framework's namespace, so that nothing here imports a framework.
"""
