"""`python -m bench.published MOTION CAMERA VIDEO`: scores a video as the published code does, in PyTorch float32.

It decodes every frame to RGB and keeps it, resizes the wanted frames as floats and runs eager networks. It prints one
JSON object: seconds without loading the networks, peak memory of the process, and the scores. It loads checkpoints with
this project's code, but does not use its decoding, resizing or sampling.
"""

import json
import sys
import time
from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image

from bench.memory import peak_mib
from export.camera_network import load_camera
from export.motion_network import load_motion
from video.clips import CLIP_FRAMES, CLIP_SHAPE, FRAME_SIZE


def read_frames(path: str) -> tuple[list[np.ndarray], np.ndarray, float]:
    """Every frame as RGB (height, width, 3) uint8, their timestamps and the duration, both in seconds."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        decoded = [(frame.to_ndarray(format="rgb24"), frame.time) for frame in container.decode(stream)]
        own = stream.duration and stream.time_base and float(stream.duration * stream.time_base)
        duration = own or (container.duration or 0) / av.time_base
    return [frame for frame, _ in decoded], np.array([time for _, time in decoded]), duration


def motion_segments(frames: list[np.ndarray], duration: float) -> torch.Tensor:
    """4 frames per second, at most 240, stretched: float (segments, 16, 224, 224, 3) from 0 to 255."""
    wanted = min(4 * int(duration), 240)
    indices = torch.linspace(0, len(frames) - 1, (wanted // CLIP_FRAMES + 1) * CLIP_FRAMES).long()
    resized = [
        torch.nn.functional.interpolate(
            torch.from_numpy(frames[index]).permute(2, 0, 1)[None].float(),
            size=(FRAME_SIZE, FRAME_SIZE),
            mode="bilinear",
        )
        for index in indices
    ]
    return torch.cat(resized).permute(0, 2, 3, 1).reshape(-1, *CLIP_SHAPE)


def camera_clips(frames: list[np.ndarray], times: np.ndarray, duration: float) -> torch.Tensor:
    """16 frames of every 2 seconds, resized and cropped by Pillow: (clips, 16, 224, 224, 3)."""
    end = times[0] + duration
    starts = list(np.arange(times[0], max(end - 2, times[0]) + 1e-6, 2.0))
    if end - (starts[-1] + 2) >= 1:
        starts.append(end - 2)
    starts = [starts[index] for index in np.linspace(0, len(starts) - 1, min(len(starts), 32)).round().astype(int)]
    clips = []
    for start in starts:
        inside = np.flatnonzero((times >= start - 1e-6) & (times < start + 2 - 1e-6))
        for index in torch.linspace(inside[0], inside[-1], CLIP_FRAMES).long():
            picture = Image.fromarray(frames[index])
            scale = FRAME_SIZE / min(picture.size)
            width, height = (max(FRAME_SIZE, int(side * scale + 1e-6)) for side in picture.size)
            left, top = (width - FRAME_SIZE) // 2, (height - FRAME_SIZE) // 2
            resized = picture.resize((width, height), Image.Resampling.BILINEAR)
            clips.append(np.asarray(resized.crop((left, top, left + FRAME_SIZE, top + FRAME_SIZE))))
    return torch.from_numpy(np.stack(clips)).reshape(-1, *CLIP_SHAPE)


def main(motion: str, camera: str, video: str) -> None:
    """Score one video and print the JSON object."""
    backbone, head = load_motion(Path(motion))
    classifier = load_camera(Path(camera)).network
    started = time.perf_counter()
    with torch.inference_mode():
        frames, times, duration = read_frames(video)
        decoded = time.perf_counter()
        segments = motion_segments(frames, duration)
        clips = camera_clips(frames, times, duration)
        prepared = time.perf_counter()
        scores, _ = head(torch.cat([backbone(segment[None]) for segment in segments]))
        probabilities = torch.cat([classifier(clip[None]) for clip in clips])
    ended = time.perf_counter()
    answer = {
        "seconds": ended - started,
        "decode_seconds": decoded - started,
        "resize_seconds": prepared - decoded,
        "network_seconds": ended - prepared,
        "peak_mib": peak_mib(),
        "scores": scores[0].tolist(),
        "probabilities": probabilities.tolist(),
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
