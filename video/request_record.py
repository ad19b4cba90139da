"""One request, for the metrics and the log."""

from collections import Counter
from dataclasses import dataclass, field

from video.clips import CLIP_FRAMES
from video.decoder import Decoder
from video.errors import Reason, RequestOutcome
from video.isolation import End


@dataclass
class RequestRecord:
    """One request, as seen by the model that answered it; None means not known."""

    model: str
    """The model."""
    request_id: str
    """The caller's id of the request; empty if it has none."""
    reason: Reason | None = None
    """Why it failed; None if it did not."""
    error: str | None = None
    """The error message that the caller got."""
    seconds: float = 0.0
    """From the start of its processing to its response, without waiting."""
    video_bytes: int | None = None
    """Size of the encoded video; None if no video was read."""
    frames_wanted: int | None = None
    """Distinct frames in the clips."""
    frames_decoded: int | None = None
    """Frames decoded to get those."""
    motion_clips: int | None = None
    """Clips for the motion scores."""
    camera_clips: int | None = None
    """Clips for the camera labels and the actions."""
    encoder_frames: int | None = None
    """Frames for the image encoder."""
    restarts: Counter[End] = field(default_factory=Counter)
    """Restarts of decoder processes during it, by what had ended the one before."""
    decoder: Decoder | None = None
    """What decoded the video, or is to; the last that tried if it failed."""
    why_not_nvdec: str | None = None
    """Why NVDEC does not get the video, in a profile that has it."""
    nvdec_error: str | None = None
    """Why NVDEC could not decode the video, so that FFmpeg had to; None if it was not asked, or did."""

    @property
    def outcome(self) -> RequestOutcome:
        """Its outcome."""
        return RequestOutcome.OK if self.reason is None else self.reason.outcome

    def fail(self, reason: Reason, error: str) -> None:
        """Record that it failed."""
        self.reason, self.error = reason, error

    def count_wanted(self, frames: int, motion_places: int, camera_places: int, encoder_frames: int) -> None:
        """Record the number of wanted frames, of frames in the clips of each kind, and for the image encoder."""
        self.frames_wanted, self.encoder_frames = frames, encoder_frames
        self.motion_clips, self.camera_clips = motion_places // CLIP_FRAMES, camera_places // CLIP_FRAMES
