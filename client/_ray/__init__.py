"""Scoring on a Ray cluster: Ray Data's blocks go to actors, each of which keeps many videos in flight."""
