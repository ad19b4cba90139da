"""`python -m bench.gpu sweep`: videos a second of a GPU by configuration, and what holds it back."""
