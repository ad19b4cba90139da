"""`python -m export`: export checkpoints into the model repository."""

import argparse
import os
import signal
import sys
from pathlib import Path

from export import (
    ACTIONS_REPOSITORY,
    AUTOENCODER_REPOSITORY,
    CAMERA_REPOSITORY,
    FRAMES_REPOSITORY,
    MOTION_REPOSITORY,
    ExportError,
    SourceUnavailable,
)
from export.targets import DEFAULT_TARGET, TARGETS

MODEL_REPOSITORY = Path(__file__).parent.parent / "model_repository"
INTERRUPTED = 130
UNAVAILABLE = 3

EPILOG = """\
SOURCE is one of
  OWNER/NAME[@REVISION]  a Hugging Face repository
  DIRECTORY              a local directory with the same files
  demo                   the small bundled networks, of motion and camera
  random[:SEED]          random weights; the scores mean nothing

Without --motion, --camera, --frames, --actions, --autoencoder, --head and --remove, the two published checkpoints are
exported. The last five alone leave the motion predictor and the camera classifier as they are; --motion or --camera
exports both.

examples:
  {command}                                     the published checkpoints
  {command} --motion demo --camera demo         if Hugging Face is unreachable
  {command} --camera ~/checkpoints/camera       your own classifier
  {command} --target cpu                        no fp16 networks: half the time
  {command} --int8 a.mp4 b.mp4                  8-bit networks as well: calibrated on a, checked on b
  {command} --frames --actions                  adds an image encoder and an action classifier
  {command} --frames --text                     adds an image encoder and its text encoder
  {command} --autoencoder                       adds the measures of latents
  {command} --head genre=heads/genre            adds a head of your own, head_genre
  {command} --remove actions                    takes the action classifier away

The published checkpoints need 8.4 GB of memory and, on 2 cores, about 5 minutes.

exit status: 0 exported, 3 a source could not be read, 130 interrupted, 1 any other error. The model repository changes
only if the status is 0."""


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, export, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m export",
        description="Export the motion predictor and the camera classifier, and optional networks, into a Triton "
        "model repository.",
        epilog=EPILOG.format(command=command_as_typed()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--motion", metavar="SOURCE", help=f"the motion predictor (default: {MOTION_REPOSITORY})")
    parser.add_argument("--camera", metavar="SOURCE", help=f"the camera classifier (default: {CAMERA_REPOSITORY})")
    parser.add_argument(
        "--frames",
        metavar="SOURCE",
        nargs="?",
        const=FRAMES_REPOSITORY,
        help="an image encoder: CLIP, SigLIP, DINOv2, ViT or ResNet (without a value: %(const)s)",
    )
    parser.add_argument(
        "--text",
        action="store_true",
        help="with --frames: the text encoder of that CLIP or SigLIP as well, to search by a sentence",
    )
    parser.add_argument(
        "--actions",
        metavar="SOURCE",
        nargs="?",
        const=ACTIONS_REPOSITORY,
        help="an action classifier: a VideoMAE with one label per clip (without a value: %(const)s)",
    )
    parser.add_argument(
        "--autoencoder",
        metavar="SOURCE",
        nargs="?",
        const=AUTOENCODER_REPOSITORY,
        help="the encoder of an AutoencoderKL, for the measures of latents (without a value: %(const)s)",
    )
    parser.add_argument(
        "--head",
        metavar="NAME=DIRECTORY",
        type=_head,
        action="append",
        default=[],
        help="a head that `python -m training.heads` trained, as the model head_NAME; may be repeated",
    )
    parser.add_argument(
        "--remove",
        metavar="NAME",
        action="append",
        default=[],
        help="take an optional network away: frames, text, actions, autoencoder or head_NAME; may be repeated",
    )
    parser.add_argument(
        "--model-repository",
        metavar="DIR",
        type=Path,
        default=MODEL_REPOSITORY,
        help="the model repository to export into (default: the one of this checkout)",
    )
    parser.add_argument(
        "--target",
        choices=TARGETS,
        default=DEFAULT_TARGET,
        help="cpu: float32, for OpenVINO; gpu: fp16 as well, for ONNX Runtime with CUDA; tensorrt: plans for this "
        "machine's GPU as well (default: %(default)s)",
    )
    parser.add_argument(
        "--int8",
        metavar="VIDEO",
        type=Path,
        nargs="+",
        default=[],
        help="write 8-bit networks as well, calibrated on these videos; PRECISION=int8 serves them",
    )
    parser.add_argument(
        "--int8-check",
        metavar="VIDEO",
        type=Path,
        nargs="+",
        default=[],
        help="with --int8: videos that calibration does not see, to state the errors of 8-bit networks on (without it, "
        "every fifth of the others is held back for that, or the last of fewer; none of a single one)",
    )
    options = parser.parse_args(arguments)
    motion, camera = options.motion, options.camera
    heads = dict(options.head)
    if options.text and options.frames is None:
        parser.error("--text is the text encoder of an image encoder: give --frames [SOURCE], too")
    if options.int8_check and not options.int8:
        parser.error("--int8-check is for 8-bit networks: give --int8 VIDEO, too")
    if len(heads) < len(options.head):
        parser.error("two heads have the same name")
    networks = (options.frames, options.actions, options.autoencoder)
    others = any(source is not None for source in networks) or heads or options.remove
    if motion is not None or camera is not None or not others:
        motion, camera = motion or MOTION_REPOSITORY, camera or CAMERA_REPOSITORY

    for number in (signal.SIGINT, signal.SIGTERM):
        # SIGTERM acts like Ctrl-C. SIGINT is set because a shell starts background jobs with it ignored.
        signal.signal(number, signal.default_int_handler)
    # torch and transformers take seconds to import: not for --help.
    from export.networks import export_networks

    try:
        export_networks(
            motion,
            camera,
            options.model_repository,
            lambda line: print(line, flush=True),
            target=options.target,
            calibration_videos=options.int8,
            check_videos=options.int8_check,
            frames=options.frames,
            text=options.text,
            actions=options.actions,
            autoencoder=options.autoencoder,
            heads=heads,
            remove=options.remove,
        )
    except SourceUnavailable as error:
        print(f"export: {error}; nothing was changed\n{_other_sources(options)}", file=sys.stderr)
        return UNAVAILABLE
    except ExportError as error:
        print(f"export: {error}; nothing was changed", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("export: interrupted; nothing was changed", file=sys.stderr)
        return INTERRUPTED
    return 0


def command_as_typed() -> str:
    """The command that starts this program, with the interpreter relative to the current directory if it is in it."""
    python = os.path.relpath(sys.executable)
    return f"{sys.executable if python.startswith('..') else python} -m export"


def _head(argument: str) -> tuple[str, Path]:
    name, separator, directory = argument.partition("=")
    if not separator or not name or not directory:
        raise argparse.ArgumentTypeError(f"{argument!r} is not NAME=DIRECTORY")
    return name, Path(directory)


def _other_sources(options: argparse.Namespace) -> str:
    command = command_as_typed()
    optional = [f"--{name} DIRECTORY" for name in ("frames", "actions", "autoencoder") if getattr(options, name)]
    optional += ["--text"] if options.text else []
    if optional and not (options.motion or options.camera):
        return f"export: for checkpoints in local directories:\n    {command} {' '.join(optional)}"
    directories = " ".join(["--motion DIRECTORY", "--camera DIRECTORY", *optional])
    return (
        f"export: the small bundled networks need no download:\n    {command} --motion demo --camera demo\n"
        f"export: for checkpoints in local directories:\n    {command} {directories}"
    )


if __name__ == "__main__":
    sys.exit(main())
