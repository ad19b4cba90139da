"""Export targets: the profiles of the model repository."""

TARGETS = ("cpu", "gpu", "tensorrt")
"""Each target includes the files of those before it."""
DEFAULT_TARGET = "gpu"


def includes(target: str, profile: str) -> bool:
    """Whether an export for `target` writes the files that `profile` needs."""
    return TARGETS.index(profile) <= TARGETS.index(target)
