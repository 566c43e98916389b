"""Error rates of duets, beside other tools' rules on the same series."""
