"""`python -m bench.search`: time and memory of a search over a large table, beside numpy's product of the same size.

A server in this process embeds the sentence at once, so that the client alone is measured. The table holds one frame
per video, of noise, in float16. numpy multiplies as many rows that are in memory already, some at a time.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet
from tritonclient.grpc import service_pb2, service_pb2_grpc

from bench.embeddings import cost_of
from bench.markdown import table
from client._tables.table import Metadata

ROOT = Path(__file__).parent.parent
CACHE = ROOT / ".bench" / "search"
ENCODER = "noise"
TOP = 50
_GROUP_ROWS = 16_384


@dataclass(frozen=True)
class Measured:
    """What a search took."""

    peak_mib: float
    """The largest resident memory of the client."""
    seconds: float
    """Its run time, from the start of Python on."""
    numpy_seconds: float
    """numpy's product of as many rows, with their lengths, in memory."""
    table_mib: float
    """Size of the table."""
    is_right: bool
    """Whether the videos found are those of numpy."""


class _Embedder(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers with one vector, whatever the sentence is."""

    def __init__(self, query: NDArray[np.float32]) -> None:
        self._query = query

    def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: ARG002 - gRPC's signature
        """The outputs that a request names."""
        source = {"source": ENCODER}
        weights = {"motion": "none", "camera": "none", "labels": [], "frames": source, "text": source}
        said = json.dumps(weights).encode()
        outputs = {
            "WEIGHTS": ("BYTES", [1], len(said).to_bytes(4, "little") + said),
            "TEXT_EMBEDDING": ("FP32", [1, len(self._query)], self._query.tobytes()),
            "TEXT_TOKENS": ("INT32", [1, 2], np.array([3, 3], np.int32).tobytes()),
        }
        answer = service_pb2.ModelInferResponse(model_name=request.model_name, model_version="1")
        for output in request.outputs:
            kind, shape, content = outputs[output.name]
            answer.outputs.add(name=output.name, datatype=kind, shape=shape)
            answer.raw_output_contents.append(content)
        return answer


@contextmanager
def _serving(query: NDArray[np.float32]) -> Iterator[str]:
    with ThreadPoolExecutor(2) as threads:
        server = grpc.server(threads)
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(_Embedder(query), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(0).wait()


def measure(directory: Path, *, rows: int, width: int) -> Measured:
    """Write a table into `directory`, search it, and do the same with numpy."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{rows}_{width}.parquet"
    rng = np.random.default_rng(0)
    query = rng.standard_normal(width, np.float32)
    cosines = np.empty(rows, np.float32)
    numpy_seconds = 0.0
    schema = Metadata({"frames": ENCODER}, signals=("frames",)).schema()
    schema = schema.append(pa.field("frame_embeddings", pa.list_(pa.list_(pa.float16(), width))))
    schema = schema.append(pa.field("frame_seconds", pa.list_(pa.float32())))
    unit = query / np.linalg.norm(query)
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for first in range(0, rows, _GROUP_ROWS):
            some = rng.standard_normal((min(_GROUP_ROWS, rows - first), width), np.float32).astype(np.float16)
            writer.write_batch(_batch(some, first, schema))
            started = time.perf_counter()
            exact = some.astype(np.float32)
            cosines[first : first + len(some)] = exact @ unit / np.sqrt(np.einsum("ij,ij->i", exact, exact))
            numpy_seconds += time.perf_counter() - started
    with _serving(query) as url:
        arguments = ["search", str(path), "noise", "--top", str(TOP), "--format", "json", "--url", url]
        cost = cost_of([sys.executable, "-m", "client", *arguments])
    found = [json.loads(line)["video"] for line in cost.said.splitlines()]
    expected = [f"{index:07}.mp4" for index in np.argsort(-cosines, kind="stable")[:TOP]]
    return Measured(cost.peak_mib, cost.seconds, numpy_seconds, path.stat().st_size / 2**20, found == expected)


def _batch(frames: NDArray[np.float16], first: int, schema: pa.Schema) -> pa.RecordBatch:
    count, width = frames.shape
    columns = {name: pa.nulls(count, schema.field(name).type) for name in schema.names}
    offsets = pa.array(np.arange(count + 1, dtype=np.int32))
    flat = pa.FixedSizeListArray.from_arrays(pa.array(frames.reshape(-1)), width)
    columns["video"] = pa.array([f"{first + index:07}.mp4" for index in range(count)])
    columns["frame_embeddings"] = pa.ListArray.from_arrays(offsets, flat, type=schema.field("frame_embeddings").type)
    columns["frame_seconds"] = pa.ListArray.from_arrays(offsets, pa.array(np.zeros(count, np.float32)))
    return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, and return the exit status: 1 if the search found something else than numpy."""
    parser = argparse.ArgumentParser(prog="python -m bench.search", description=__doc__.split("\n\n")[0])
    parser.add_argument("--videos", type=int, default=1_000_000, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--width", type=int, default=512, metavar="N", help="values per frame (default: %(default)s)")
    parser.add_argument("--directory", type=Path, default=CACHE, metavar="DIR")
    options = parser.parse_args(arguments)
    found = measure(options.directory, rows=options.videos, width=options.width)
    rows = [
        ["video-motion search", f"{found.seconds:.1f}", f"{found.peak_mib:.0f}"],
        ["numpy, in memory", f"{found.numpy_seconds:.1f}", ""],
    ]
    print(
        table((f"{options.videos:,} x {options.width} float16, {found.table_mib:.0f} MiB", "seconds", "peak MiB"), rows)
    )
    return 0 if found.is_right else 1


if __name__ == "__main__":
    sys.exit(main())
