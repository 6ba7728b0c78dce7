"""Named sources of data: databases that the operator has opened to checks, by a name.

`catalogue` reads what the operator wrote, `backends` connects to it read-only, `rowdigest` gives
the rows of a table a digest that any of them computes alike. No Django here: the engine uses it.
"""
