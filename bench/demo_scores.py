"""Tables of scores and measures of rendered clips, for benchmarks: by the demo's networks in this process.

Frames are chosen, decoded and measured as on the server; the networks run in PyTorch, in float32. A server can be asked
instead.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from client._commands.score import main as score
from export.camera_network import load_camera
from export.motion_network import load_motion
from export.source import open_source
from video import IsolatedDecoder, Limits
from video.signals import Signal
from video.strip import Strip

ROOT = Path(__file__).parent.parent
SIGNALS = "motion,camera,metrics"
SCORES = ("camera_movement_score", "object_movement_score", "dynamics_score")
INFO = ("duration_seconds", "frames", "frames_per_second", "width", "height")
WHOLE = ("frames", "width", "height")


def score_clips(clips: Path, output: Path, url: str | None = None) -> bool:
    """Score every video of a folder into the table `output` (.jsonl); run again to resume. Whether all have scores.

    url: the server to ask; without, the demo's networks are run here. Raises `InvalidVideo` and OSError then.
    """
    if url:
        return score([str(clips), "--url", url, "--signals", SIGNALS, "--output", str(output)]) == 0
    lines = output.read_text().splitlines() if output.exists() else []
    known = {Path(json.loads(line)["video"]).name for line in lines}
    missing = [video for video in sorted(clips.glob("*.mp4")) if video.name not in known]
    if not missing:
        return True
    networks = DemoNetworks()
    with output.open("a") as file:
        for video in tqdm(missing, "scores", disable=None):
            file.write(json.dumps({"video": str(video)} | networks.score(video.read_bytes())) + "\n")
            file.flush()
    return True


class DemoNetworks:
    """The demo's networks, and a process that decodes."""

    def __init__(self) -> None:
        torch.set_num_threads(1)
        with open_source("demo", "motion") as checkpoint:
            self._backbone, self._head = load_motion(checkpoint.directory)
            self._weights = {"motion": checkpoint.name}
        with open_source("demo", "camera") as checkpoint:
            self._camera = load_camera(checkpoint.directory)
            self._weights |= {"camera": checkpoint.name, "precision": "f32"}
        self._decoder = IsolatedDecoder(Limits(timeout_seconds=600))

    def score(self, video: bytes) -> dict[str, Any]:
        """The row of a video but for its name, as `client.score` writes it."""
        content = memoryview(video)
        plan = self._decoder.plan(content, {"signals": SIGNALS}, strip=Strip.NEVER, served=tuple(Signal))
        names = ("frame_indices", "motion_order", "camera_order", "metric_order")
        indices, motion, camera, measured = (np.array(plan[name], np.int64) for name in names)
        clips = self._decoder.decode(
            content, indices, motion, camera, self._camera.shortest_edge, metric_order=measured
        )
        with torch.inference_mode():
            scores, _ = self._head(self._backbone(torch.from_numpy(np.array(clips.motion))))
            probabilities = self._camera.network(torch.from_numpy(np.array(clips.camera))).tolist()
        assert clips.measures is not None
        return {
            "motion": dict(zip(SCORES, scores[0].tolist(), strict=True)),
            "camera": [
                self._clip(start, end, each)
                for (start, end), each in zip(plan["clip_seconds"], probabilities, strict=True)
            ],
            "metrics": clips.measures.as_dict(),
            "info": {
                name: int(value) if name in WHOLE else value for name, value in zip(INFO, plan["info"], strict=True)
            },
            "weights": self._weights,
        }

    def _clip(self, start: float, end: float, probabilities: list[float]) -> dict[str, Any]:
        by_label = dict(zip(self._camera.labels, probabilities, strict=True))
        labels = sorted((label for label, p in by_label.items() if p >= 0.5), key=lambda label: -by_label[label])
        return {"start_seconds": start, "end_seconds": end, "labels": labels, "probabilities": by_label}
