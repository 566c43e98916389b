"""One file for each library and area: rows of promises."""
