"""`python -m bench.embeddings`: memory of the client while it writes embeddings, and who can read the table.

A server in this process answers every request with embeddings of frames at once, so that the client alone is measured:
`client.score` with few videos and with many, then the readers of the table. No video is decoded.
"""

import argparse
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from tritonclient.grpc import service_pb2, service_pb2_grpc

from bench.markdown import number, table

ROOT = Path(__file__).parent.parent
CACHE = ROOT / ".bench" / "embeddings"
GROWTH_MIB = 32.0
"""How much more memory many videos may take than few: the client lists the names, and SQLite its index."""
_WEIGHTS = {
    **{"motion": "none", "camera": "none", "precision": "f32", "labels": ["still"]},
    "frames": {"source": "noise", "dimensions": 0},
}
READERS = {
    "pandas": "import pandas, numpy as np; column = pandas.read_parquet({path}).frame_embeddings\n"
    "print(len(column), sum(np.stack(rows).size for rows in column))",
    "polars": "import polars; column = polars.col('frame_embeddings').explode()\n"
    "values = column.arr.explode().len().alias('values')\n"
    "print(*polars.scan_parquet({path}).select(polars.len(), values).collect(engine='streaming').row(0))",
    "DuckDB": 'import duckdb; duckdb.sql("SET enable_progress_bar=false"); print(*duckdb.sql("SELECT count(*), '
    'sum(len(flatten(frame_embeddings))) FROM \'" + {path} + "\'").fetchall()[0])',
    "training.heads": "from pathlib import Path; from training.heads.tables import read_rows, video_names\n"
    "path = Path({path}); wanted = {{*video_names(path)}}\n"
    "rows = [row.embeddings.size for row in read_rows(path, 'frames', wanted)]; print(len(rows), sum(rows))",
    "video_motion.table": "from client.table import read_batches\nrows = values = 0\n"
    "for batch in read_batches({path}):\n"
    "    rows += len(batch); values += len(batch.column('frame_embeddings').flatten().flatten())\n"
    "print(rows, values)",
    "summary": "from client.table import read_batches\n"
    "from client._tables.table import read_batches as read\n"
    "print(sum(len(batch) for batch in read({path}, signals=False)), 0)",
}
"""Programs that print the rows of a table and the values of its embeddings."""


class _Embedder(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers with noise, never twice the same: no compression makes a table of it smaller."""

    def __init__(self, frames: int, width: int) -> None:
        self._shape = frames, width
        self._random = np.random.default_rng(0)
        self._lock = threading.Lock()

    def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: ARG002 - gRPC's signature
        """The outputs that a request names."""
        frames, width = self._shape
        weights = json.dumps(_WEIGHTS).encode()
        with self._lock:
            embeddings = self._random.standard_normal(self._shape, np.float32)
        outputs = {
            "WEIGHTS": ("BYTES", [1], len(weights).to_bytes(4, "little") + weights),
            "VIDEO_INFO": ("FP64", [1, 5], np.array([4.0, 100, 25, 640, 360]).tobytes()),
            "HEADER_DURATION_SECONDS": ("FP64", [1], np.array([np.nan]).tobytes()),
            "DECODER": ("BYTES", [1], b"\x06\0\0\0ffmpeg"),
            "FRAME_SECONDS": ("FP32", [frames], np.linspace(0, 4, frames, dtype=np.float32).tobytes()),
            "FRAME_EMBEDDINGS": ("FP32", [frames, width], embeddings.tobytes()),
        }
        answer = service_pb2.ModelInferResponse(model_name=request.model_name, model_version="1")
        for output in request.outputs:
            kind, shape, content = outputs[output.name]
            answer.outputs.add(name=output.name, datatype=kind, shape=shape)
            answer.raw_output_contents.append(content)
        return answer


@contextmanager
def embedder(frames: int, width: int) -> Iterator[str]:
    """The address of a server with frame embeddings of these sizes."""
    with ThreadPoolExecutor(4) as threads:
        server = grpc.server(threads, options=[("grpc.max_send_message_length", -1)])
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(_Embedder(frames, width), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(0).wait()


@dataclass(frozen=True)
class Cost:
    """What a process took."""

    peak_mib: float
    """Its largest resident memory."""
    seconds: float
    """Its run time."""
    said: str
    """Its standard output."""


def cost_of(command: Sequence[str]) -> Cost:
    """Run a command. Raises `CalledProcessError` if it fails."""
    started, peak = time.monotonic(), 0.0
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            try:
                lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            except OSError:
                continue
            peak = max([peak, *(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))])
            time.sleep(0.01)
        assert process.stdout is not None
        said = process.stdout.read().strip()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(command))
    return Cost(peak, time.monotonic() - started, said)


def score(url: str, directory: Path, videos: int, frames: int, dtype: str) -> tuple[Cost, Path]:
    """Score this many files, which the server does not look at, into a new table."""
    folder, output = directory / f"videos_{videos}", directory / f"scores_{videos}_{dtype}.parquet"
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(videos):
        (folder / f"{index:06}.mp4").write_bytes(b"0")
    for left in (output, output.with_name(f"{output.name}.journal")):
        left.unlink(missing_ok=True)
    command = [sys.executable, "-m", "client.score", str(folder), "--url", url, "--output", str(output)]
    return cost_of([*command, "--signals", "frames", "--frames", str(frames), "--embeddings-dtype", dtype]), output


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, and return the exit status: 1 if memory grew, or a reader found something else."""
    parser = argparse.ArgumentParser(prog="python -m bench.embeddings", description=__doc__.split("\n\n")[0])
    parser.add_argument("--videos", type=int, default=10_000, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--few", type=int, default=500, metavar="N", help="to compare with (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=100, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--width", type=int, default=512, metavar="N", help="values per frame (default: %(default)s)")
    parser.add_argument("--embeddings-dtype", choices=("float32", "float16"), default="float32")
    parser.add_argument("--directory", type=Path, default=CACHE, metavar="DIR")
    options = parser.parse_args(arguments)
    peaks, rows = {}, []
    with embedder(options.frames, options.width) as url:
        for videos in (options.few, options.videos):
            cost, output = score(url, options.directory, videos, options.frames, options.embeddings_dtype)
            peaks[videos] = cost.peak_mib
            sizes = [path.stat().st_size / 2**20 for path in (output, output.with_name(f"{output.name}.journal"))]
            rows.append([f"score {videos}", f"{cost.peak_mib:.0f}", f"{cost.seconds:.1f}", *map(number, sizes)])
    expected = f"{options.videos} {options.videos * options.frames * options.width}"
    right = True
    for name, program in READERS.items():
        cost = cost_of([sys.executable, "-c", program.format(path=repr(str(output)))])
        is_right = cost.said in (expected, f"{options.videos} 0")
        right &= is_right
        rows.append([name, f"{cost.peak_mib:.0f}", f"{cost.seconds:.1f}", "" if is_right else cost.said, ""])
    print(table(("process", "peak MiB", "seconds", "table MiB", "journal MiB"), rows))
    growth = peaks[options.videos] - peaks[options.few]
    print(f"bench: {growth:+.0f} MiB with {options.videos} videos instead of {options.few}, at most {GROWTH_MIB:.0f}")
    return 0 if growth <= GROWTH_MIB and right else 1


if __name__ == "__main__":
    sys.exit(main())
