"""What an export is for."""

TARGETS = ("cpu", "gpu", "tensorrt")
"""The profiles, each with all that those before it need."""
DEFAULT_TARGET = "gpu"


def includes(target: str, profile: str) -> bool:
    """Whether an export for `target` writes what `profile` needs."""
    return TARGETS.index(profile) <= TARGETS.index(target)
