"""Tar shards as WebDataset has them: samples of files whose names begin alike, such as 0001.mp4 and 0001.json."""
