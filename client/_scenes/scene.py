"""A scene, without what finds it."""

Scene = tuple[float, float]
"""Start and end in seconds from the first frame; the end is the start of the next scene."""
