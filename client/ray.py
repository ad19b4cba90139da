"""Score the videos of a Ray dataset on a cluster. Needs Ray (`pip install 'ray[data]'`)."""

from ._ray.dataset import OtherWeights, score

__all__ = ["OtherWeights", "score"]
