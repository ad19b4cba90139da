"""Ray, which only this part of the client needs."""

from typing import Any

from .._optional import missing


def check_installed(what: str) -> None:
    """Raise ImportError with a sentence if Ray, which `what` needs, is not installed."""
    if sentence := missing(what, "ray", "pyarrow", extra="ray"):
        raise ImportError(sentence)


def ray_module(what: str) -> Any:
    """The module `ray`, with Ray Data imported. Raises ImportError with a sentence if it is not installed.

    what: what needs it, for the sentence.
    """
    check_installed(what)
    import ray
    import ray.data

    return ray
