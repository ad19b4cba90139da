"""How much of a list is held at once."""

LONGEST_LINE = 2**24
"""Characters of the longest line, and of the longest element of an array or an object."""
