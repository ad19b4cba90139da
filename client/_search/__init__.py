"""Search in a table of scores by a sentence or by an example."""
