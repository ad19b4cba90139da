"""Cheap measures of a video: how its pixels change, without a network. `docs/measures.md` defines them."""
