"""`python -m client.score VIDEO...`: score videos and print what was learned."""

import argparse
import json
import os
import sys

from client.client import Client
from client.errors import ClientError
from client.result import CameraClip, Score

EPILOG = """\
A camera label is reported from probability 0.5 on. Exit status: 0 all videos were scored, 1 some were not (each is
named on standard error), 2 the command line is wrong."""


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, score, print, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m client.score",
        description="Score how videos move: motion scores of each video, camera moves of each of its clips.",
        epilog=EPILOG,
    )
    parser.add_argument("videos", nargs="+", metavar="VIDEO", help="mp4, mov, mkv, webm or avi file")
    parser.add_argument("--url", default="localhost:8001", help="gRPC address of the server (default: %(default)s)")
    parser.add_argument(
        "--format", choices=("table", "json"), help="(default: table on a terminal, else one JSON object a line)"
    )
    parser.add_argument(
        "--timeout", type=float, default=600.0, metavar="SECONDS", help="for each video (default: %(default)g)"
    )
    options = parser.parse_args(arguments)
    if not options.timeout > 0:
        parser.error(f"--timeout is {options.timeout:g}, it must be above 0")
    as_table = (options.format or ("table" if sys.stdout.isatty() else "json")) == "table"
    try:
        return _score(options.videos, options.url, options.timeout, as_table)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does: no more to say, and nothing to flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _score(videos: list[str], url: str, timeout_seconds: float, as_table: bool) -> int:
    failed = 0
    warned = False
    with Client(url, timeout_seconds=timeout_seconds) as client:
        for video in videos:
            try:
                score = client.score(video)
            except ClientError as error:
                print(f"{video}: {error}", file=sys.stderr, flush=True)
                failed += 1
                continue
            if score.weights.stand_in and not warned:
                print("NOTE: the server has stand-in weights: these figures mean nothing", file=sys.stderr)
                warned = True
            print(table(video, score) if as_table else json.dumps({"video": video, **score.as_dict()}), flush=True)
    if failed and len(videos) > 1:
        print(f"{failed} of {len(videos)} videos were not scored", file=sys.stderr)
    return 1 if failed else 0


def table(video: str, score: Score) -> str:
    """What a person wants to see of one video."""
    info, motion = score.info, score.motion
    lines = [
        f"{video}  {info.duration_seconds:.2f} s, {info.frames} frames, "
        f"{info.frames_per_second:.2f} frames/s, {info.width} x {info.height}",
        f"  motion   camera {motion.camera_movement_score:.3f}   object {motion.object_movement_score:.3f}"
        f"   dynamics {motion.dynamics_score:.3f}",
    ]
    lines += [
        f"  clip  {clip.start_seconds:7.2f} - {clip.end_seconds:7.2f} s   {_labels(clip)}" for clip in score.camera
    ]
    return "\n".join(lines)


def _labels(clip: CameraClip) -> str:
    if clip.labels:
        return ", ".join(f"{label} {clip.probabilities[label]:.2f}" for label in clip.labels)
    label, probability = max(clip.probabilities.items(), key=lambda item: item[1])
    return f"none (highest: {label} {probability:.2f})"


if __name__ == "__main__":
    sys.exit(main())
