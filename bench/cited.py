"""Rates that others published, for what has not been measured here; each says where it is from."""

from dataclasses import dataclass

NETWORK_TFLOPS = (400.0, 480.0)
"""What to plan with for the networks on an H100 or H200: about 40 to 49 % of 989 dense fp16 TFLOP/s.

Attention with heads of 64 runs at 373 to 395 TFLOP/s with cuDNN on an H100 (arXiv 2407.08608), and is a fifth to a
quarter of the networks' operations; matrix products are faster.
"""
MEASURED_PIXELS = 1600 * 900
"""Pixels of a frame in `HopperDecoding.measured_fps`."""
STREAM_FPS = 30.0
STREAM_PIXELS = 1920 * 1080


@dataclass(frozen=True)
class HopperDecoding:
    """Frames a second of all seven NVDECs of a Hopper GPU together."""

    codec: str
    measured_fps: float
    """NVIDIA's own measurement: H200 NVL, 1600 x 900, six streams, read from first to last frame (NVIDIA/ACCV-Lab,
    packages/on_demand_video_decoder/evaluation_results/video_config_sweep/codec_sequential.csv)."""
    promised_streams: int
    """Streams of 1920 x 1080 at 30 frames a second that the white paper of the Hopper architecture promises."""

    def bounds(self, pixels: int) -> tuple[float, float]:
        """The least and the most frames a second for frames of so many pixels.

        The measurement was bound by latency, so smaller frames are taken to be no faster than it, and larger ones to be
        slower in proportion to their pixels. The promise is in proportion to pixels both ways.
        """
        low = self.measured_fps * min(1.0, MEASURED_PIXELS / pixels)
        return low, self.promised_streams * STREAM_FPS * STREAM_PIXELS / pixels


HOPPER = (HopperDecoding("H.264", 1002, 170), HopperDecoding("HEVC", 1795, 340))
