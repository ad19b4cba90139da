"""A Data-Juicer operator: adds the motion scores of each sample's videos to its statistics.

Import this module before the recipe is read, then name `video_motion_mapper` in its `process`.
"""

from typing import Any

from data_juicer.ops.base_op import OPERATORS, Mapper
from video_motion import Client, ClientError


@OPERATORS.register_module("video_motion_mapper")
class VideoMotionMapper(Mapper):
    """Puts a list with one entry per video into the column `video_motion`: its scores, or `error`."""

    def __init__(self, urls: tuple[str, ...] = ("localhost:8001",), **options: Any) -> None:
        super().__init__(**options)
        self.urls = tuple(urls)
        self._client: Client | None = None

    def process_single(self, sample: dict[str, Any]) -> dict[str, Any]:
        """The sample with the column `video_motion`; its paths are in the column that Data-Juicer calls `video_key`."""
        if self._client is None:  # in the process that works, not where the operator was made
            self._client = Client(self.urls)
        sample["video_motion"] = [self._score(path) for path in sample.get(self.video_key) or ()]
        return sample

    def _score(self, path: str) -> dict[str, Any]:
        assert self._client is not None
        names = ("camera_movement_score", "object_movement_score", "dynamics_score")
        try:
            motion = vars(self._client.score(path, signals="motion").motion)
        except ClientError as error:
            return dict.fromkeys(names) | {"error": str(error)}
        return {name: motion[name] for name in names} | {"error": None}
