"""`python -m export`: the networks of the model repository from checkpoints."""

import argparse
import signal
import sys
from pathlib import Path

from export import CAMERA_REPOSITORY, MOTION_REPOSITORY, ExportError, SourceUnavailable
from export.targets import DEFAULT_TARGET, TARGETS

MODEL_REPOSITORY = Path(__file__).parent.parent / "model_repository"
INTERRUPTED = 130
UNAVAILABLE = 3

EPILOG = """\
SOURCE is a Hugging Face repository (owner/name[@revision]), a directory with the same files, demo for the small
networks that come with the project, or random[:seed] for stand-in weights whose answers mean nothing. Exit status: 0
exported, 3 a source could not be read, 1 anything else; only one that ends with 0 changes the model repository."""


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, export, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m export",
        description="Export the motion predictor and the camera classifier into a Triton model repository.",
        epilog=EPILOG,
    )
    parser.add_argument("--motion", metavar="SOURCE", default=MOTION_REPOSITORY, help="(default: %(default)s)")
    parser.add_argument("--camera", metavar="SOURCE", default=CAMERA_REPOSITORY, help="(default: %(default)s)")
    parser.add_argument(
        "--model-repository", metavar="DIR", type=Path, default=MODEL_REPOSITORY, help="(default: the project's own)"
    )
    parser.add_argument(
        "--target",
        choices=TARGETS,
        default=DEFAULT_TARGET,
        help="cpu: float32, for OpenVINO; gpu: fp16 as well, for ONNX Runtime with CUDA; tensorrt: plans as well, for "
        "the GPU of this machine (default: %(default)s)",
    )
    parser.add_argument(
        "--int8",
        metavar="VIDEO",
        type=Path,
        nargs="+",
        default=[],
        help="write 8-bit networks as well, for PRECISION=int8, calibrated on these videos",
    )
    options = parser.parse_args(arguments)

    for number in (signal.SIGINT, signal.SIGTERM):
        # A polite kill is a Ctrl-C; and a shell starts what runs in its background with Ctrl-C ignored.
        signal.signal(number, signal.default_int_handler)
    # torch and transformers take seconds to import: not for --help.
    from export.networks import export_networks

    try:
        export_networks(
            options.motion,
            options.camera,
            options.model_repository,
            lambda line: print(line, flush=True),
            target=options.target,
            calibration_videos=options.int8,
        )
    except SourceUnavailable as error:
        print(f"export: {error}; nothing was changed", file=sys.stderr)
        return UNAVAILABLE
    except ExportError as error:
        print(f"export: {error}; nothing was changed", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("export: interrupted; nothing was changed", file=sys.stderr)
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
