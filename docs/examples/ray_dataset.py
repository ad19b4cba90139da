"""Scores of the videos that a table lists, by Ray Data, into Parquet files.

python ray_dataset.py clips.parquet scores/ gpu1:8001 gpu2:8001
"""

import sys

import ray
from video_motion.ray import score


def main(clips: str, output: str, *urls: str) -> None:
    """clips: Parquet with a column `path`; output: a folder for the scores; urls: the servers."""
    dataset = ray.data.read_parquet(clips)
    scores = score(dataset, urls, signals="motion,camera", in_flight=32)
    scores.write_parquet(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
