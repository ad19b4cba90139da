"""Cutting: each part of a list becomes a file of its own, or a sample of a WebDataset shard."""
