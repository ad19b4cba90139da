"""`python -m training`: render clips, train the demo's networks, evaluate them."""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

DEMO = Path(__file__).parent.parent / "export" / "demo"
DIRECTORY = Path(".training")
CALIBRATION_SHARDS = 12
EPILOG = """\
Rendering and training resume where they stopped, and may run at the same time. To render with two processes, start one
with --first 0 --step 2 and one with --first 1 --step 2."""


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, run the command, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__, epilog=EPILOG)
    parser.add_argument(
        "--directory", type=Path, default=DIRECTORY, help="for clips and training checkpoints (default: .training)"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    render = commands.add_parser("render", help="render clips with known motion, in shards of 100 clips and 120 MB")
    render.add_argument("--shards", type=int, default=60, help="the total number of shards (default: %(default)s)")
    render.add_argument("--first", type=int, default=0, help="the first shard to render (default: %(default)s)")
    render.add_argument("--step", type=int, default=1, help="render every STEP-th shard (default: %(default)s)")
    train = commands.add_parser("train", help="train on the clips and write the two checkpoints")
    train.add_argument(
        "--minutes", type=float, default=float("inf"), help="stop after this time; run it again to resume"
    )
    train.add_argument("--threads", type=int, help="CPU threads (default: PyTorch's)")
    train.add_argument("--output", type=Path, default=DEMO, help="directory of the checkpoints (default: export/demo)")
    evaluate = commands.add_parser("evaluate", help="evaluate a running server on clips that training never saw")
    evaluate.add_argument("--url", default="localhost:8001", help="gRPC address of the server (default: %(default)s)")
    evaluate.add_argument("--clips", type=int, default=500, help="number of rendered clips (default: %(default)s)")
    evaluate.add_argument(
        "--seed", type=int, help="seed of the clips; training uses small ones (default: the seed of the tests)"
    )
    options = parser.parse_args(arguments)
    return COMMANDS[options.command](options)


def _render(options: argparse.Namespace) -> int:
    # Before NumPy is imported: on 3 x 3 matrices, the threads of two processes mostly wait for each other.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    import cv2

    from training.dataset import make_shards

    cv2.setNumThreads(1)  # more threads do not pay for frames this small
    make_shards(options.directory / "clips", 0, range(options.first, options.shards, options.step))
    return 0


def _train(options: argparse.Namespace) -> int:
    import torch

    from training.calibration import calibrate
    from training.checkpoint import write_checkpoints
    from training.train import BOTH, FINE, SCORES, TEMPORAL, Clips, Training, TrainingConfig
    from training.weight_surgery import with_another_block, with_temporal_channels

    State = dict[str, torch.Tensor]

    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        clips = Clips(options.directory / "clips")
    except ValueError as error:
        print(f"training: {error}", file=sys.stderr)
        return 1
    if not clips.shards:
        print(f"training: {options.directory} has no clips: run `python -m training render` first", file=sys.stderr)
        return 1
    begun = time.monotonic()

    def stage(seed: int, name: str, config: TrainingConfig, learned: Callable[[], State] | None = None) -> State | None:
        """Train one stage from its checkpoint, or else from the weights `learned`; its weights, None if time is up."""
        path = options.directory / f"{name}.pt"
        beginning = None if learned is None or path.is_file() else learned()
        training = Training(clips, path, seed=seed, config=config, learned=beginning)
        left = 60 * options.minutes - (time.monotonic() - begun)
        return training.average if training.run(lambda line: print(line, flush=True), until=left) else None

    both = stage(0, "both", BOTH)
    scores = both and stage(1, "scores", SCORES, lambda: both)
    temporal = scores and stage(2, "temporal", TEMPORAL, lambda: with_temporal_channels(scores, clips))
    fine = temporal and stage(3, "fine", FINE, lambda: with_another_block(temporal))
    if both and fine:
        camera = calibrate(both, clips.shards[:CALIBRATION_SHARDS])
        write_checkpoints(camera, fine, options.output)
        print(f"training: the checkpoints are in {options.output}")
    else:
        print("training: stopped; run it again to resume")
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    from client import Client, ClientError
    from training.evaluation import evaluate
    from training.holdout import SEED, holdout_clips, holdout_photographs

    try:
        with Client(options.url) as client:
            seed = SEED if options.seed is None else options.seed
            print(evaluate([clip.ask(client) for clip in holdout_clips(options.clips, seed)]))
            found = [move in client.score(video).camera[0].labels for move, video in holdout_photographs()]
            print(f"{len(found)} clips of moving photographs\n{sum(found) / len(found):.1%} found")
    except ClientError as error:
        print(f"training: {error}", file=sys.stderr)
        return 1
    return 0


COMMANDS = {"render": _render, "train": _train, "evaluate": _evaluate}

if __name__ == "__main__":
    sys.exit(main())
