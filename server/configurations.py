"""Whether the configurations of a model repository are complete.

By default, Triton asks each model to complete its configuration. For a model of the python backend it starts a process
for that alone, which imports all that the model imports, and ends it again.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

DO_NOT_COMPLETE = "--disable-auto-complete-config"
"""Triton's flag."""
_REPOSITORIES = ("--model-repository", "--model-store")
_PROFILE = "--model-config-name"
_COMMENT = re.compile(r"#.*")
_TENSORS = re.compile(r"^(input|output) \[\n(.*?)^\]", re.MULTILINE | re.DOTALL)
_COMPLETE_TENSOR = re.compile(r'\{ name: "\w+" data_type: TYPE_\w+ dims: \[ -?\d')


def all_complete(repository: Path, profile: str) -> bool:
    """Whether every model in `repository` states the type and shape of all its tensors for `profile`.

    Only what is written as this project writes it counts as complete.
    """
    return all(map(_is_complete, _configurations(repository, profile)))


def name_others(flags: Sequence[str]) -> bool:
    """Whether `flags` for tritonserver name more than one model repository, or another profile than the server's."""
    names = [flag.partition("=")[0] for flag in flags]
    return sum(name in _REPOSITORIES for name in names) > 1 or _PROFILE in names


def _configurations(repository: Path, profile: str) -> Iterator[Path]:
    for model in repository.iterdir():
        if model.is_dir():
            of_profile = model / "configs" / f"{profile}.pbtxt"
            yield of_profile if of_profile.is_file() else model / "config.pbtxt"


def _is_complete(path: Path) -> bool:
    try:
        text = _COMMENT.sub("", path.read_text())
    except (OSError, UnicodeDecodeError):  # Triton says what is wrong with it
        return False
    tensors: dict[str, str] = dict(_TENSORS.findall(text))
    return tensors.keys() == {"input", "output"} and all(
        0 < part.count("{") == len(_COMPLETE_TENSOR.findall(part)) for part in tensors.values()
    )
