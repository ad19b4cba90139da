"""A NeMo Curator stage: adds motion scores to each encoded clip of a video."""

from dataclasses import dataclass
from typing import Any

from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.tasks.video import VideoTask
from video_motion import Client, ClientError


@dataclass
class VideoMotionStage(ProcessingStage[VideoTask, VideoTask]):
    """Sets `clip.motion_scores` from `clip.buffer`; of a clip that fails, `clip.errors["video_motion"]`."""

    urls: tuple[str, ...] = ("localhost:8001",)
    name: str = "video_motion"

    def __post_init__(self) -> None:
        self.resources = Resources(cpus=1.0)

    def inputs(self) -> tuple[list[str], list[str]]:
        """Needs a video."""
        return ["data"], []

    def outputs(self) -> tuple[list[str], list[str]]:
        """Gives it back."""
        return ["data"], []

    def setup(self, worker_metadata: Any = None) -> None:  # noqa: ARG002 - the framework's signature
        """Connect, in the worker."""
        self._client = Client(self.urls)

    def process(self, task: VideoTask) -> VideoTask:
        """The task, with scores at its clips."""
        for clip in task.data.clips:
            if not clip.buffer:
                clip.errors["video_motion"] = "the clip is not encoded"
                continue
            try:
                score = self._client.score(bytes(clip.buffer), signals="motion")
            except ClientError as error:
                clip.errors["video_motion"] = str(error)
            else:
                clip.motion_scores = dict(vars(score.motion))
        return task
