"""One way of using a framework as a script of a few lines: the suite's own functions written out for the values they are called with."""
