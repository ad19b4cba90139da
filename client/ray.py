"""Score the videos of a Ray dataset on a cluster. Needs Ray (`pip install 'video-motion[ray]'`)."""

from ._ray.dataset import OtherWeights, score

__all__ = ["OtherWeights", "score"]
