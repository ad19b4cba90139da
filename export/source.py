"""Sources of weights: a Hugging Face repository, a directory in that layout, `demo` or `random`."""

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from export.errors import SourceUnavailable
from export.random_autoencoder import TENSORS, write_autoencoder_checkpoint
from export.random_networks import write_actions_checkpoint, write_frames_checkpoint, write_text_checkpoint
from export.random_weights import write_camera_checkpoint, write_motion_checkpoint

MOTION_REPOSITORY = "ai-forever/kandinsky-video-motion-predictor"
CAMERA_REPOSITORY = "ai-forever/kandinsky-videomae-large-camera-motion"
FRAMES_REPOSITORY = "openai/clip-vit-base-patch32"
ACTIONS_REPOSITORY = "MCG-NJU/videomae-base-finetuned-kinetics"
AUTOENCODER_REPOSITORY = "stabilityai/sdxl-vae"
SAFETENSORS = {FRAMES_REPOSITORY: "refs/pr/15"}
"""Revisions with the weights of the main branch as safetensors, of repositories whose main branch has only a pickle."""

FILES = {
    "motion": ("config.json", "model.safetensors"),
    "camera": ("config.json", "preprocessor_config.json", "model.safetensors"),
    "frames": ("config.json", "preprocessor_config.json", "model.safetensors"),
    "text": (
        *("config.json", "preprocessor_config.json", "model.safetensors"),
        *("tokenizer.json", "tokenizer_config.json"),
    ),
    "actions": ("config.json", "preprocessor_config.json", "model.safetensors"),
    "autoencoder": ("config.json", TENSORS),
}
RANDOM_WEIGHTS: dict[str, Callable[[Path, int], None]] = {
    "motion": write_motion_checkpoint,
    "camera": write_camera_checkpoint,
    "frames": write_frames_checkpoint,
    "text": write_text_checkpoint,
    "actions": write_actions_checkpoint,
    "autoencoder": write_autoencoder_checkpoint,
}
DEMO = Path(__file__).parent / "demo"
"""The two small checkpoints that `python -m training` wrote."""
HUB_TIMEOUT_SECONDS = 10.0

RANDOM = re.compile(r"random(?::(?P<seed>\d+))?")
REPOSITORY = re.compile(r"(?P<id>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk and its name in answers."""

    directory: Path
    name: str
    """`repository@commit`, `directory PATH`, `demo (...)` or `random:SEED (...)`."""


@contextmanager
def open_source(source: str, network: str) -> Iterator[Checkpoint]:
    """The checkpoint that `source` names, for a `network` of `FILES`; `SourceUnavailable` if it cannot be read.

    A revision is resolved to a commit first, so that all files are of one commit and answers name it; without a
    revision it is the main branch, or that of `SAFETENSORS` if the main branch has no safetensors.
    """
    if match := RANDOM.fullmatch(source):
        seed = int(match["seed"] or 0)
        with tempfile.TemporaryDirectory(prefix="export-") as temporary:
            RANDOM_WEIGHTS[network](Path(temporary), seed)
            yield Checkpoint(Path(temporary), f"random:{seed} (stand-in weights, the figures mean nothing)")
    elif source == "demo":
        if not (DEMO / network).is_dir():
            raise SourceUnavailable(f"there is no demo network for {network}, only for motion and camera")
        yield Checkpoint(DEMO / network, "demo (small networks that learned from rendered clips)")
    elif Path(source).expanduser().is_dir():
        directory = Path(source).expanduser().resolve()
        for file in FILES[network]:
            if not (directory / file).is_file():
                raise SourceUnavailable(f"{directory} has no {file}")
        yield Checkpoint(directory, f"directory {directory}")
    elif match := REPOSITORY.fullmatch(source):
        yield _download(match["id"], match["revision"] or "main", network)
    else:
        raise SourceUnavailable(
            f"{source!r} is neither a directory nor a repository such as owner/name@revision, demo or random[:seed]"
        )


def _download(repository: str, revision: str, network: str) -> Checkpoint:
    from huggingface_hub import HfApi, errors, hf_hub_download  # slow to import, and not needed for local directories

    try:
        commit = HfApi().model_info(repository, revision=revision, timeout=HUB_TIMEOUT_SECONDS).sha or revision
        paths = [Path(hf_hub_download(repository, file, revision=commit)) for file in FILES[network]]
    except errors.RevisionNotFoundError as error:
        raise SourceUnavailable(f"{repository} has no revision {revision}") from error
    except errors.RepositoryNotFoundError as error:
        raise SourceUnavailable(f"Hugging Face has no repository {repository}, or it needs a login") from error
    except errors.EntryNotFoundError as error:
        if revision == "main" and (converted := SAFETENSORS.get(repository)):
            return _download(repository, converted, network)
        raise SourceUnavailable(f"{repository}@{revision} lacks a file: {error}") from error
    except errors.HfHubHTTPError as error:
        raise SourceUnavailable(f"Hugging Face refused {repository}@{revision}: {error}") from error
    except Exception as error:  # its HTTP library has changed before, and the exceptions with it
        reason = f"{type(error).__name__}: {error}"
        raise SourceUnavailable(f"cannot download {repository}@{revision} from Hugging Face ({reason})") from error
    return Checkpoint(paths[0].parent, f"{repository}@{commit}")
