"""`python -m tests.ray_losses DIRECTORY`: score DIRECTORY/videos on two nodes, of which one dies, as does a server."""

import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa
import ray
from pyarrow import parquet
from ray.cluster_utils import Cluster

from client.ray import score
from fixtures.fake_server import fake_server
from video.processes import command_line, descendants

ROWS_PER_BLOCK = 16


def main(directory: Path) -> None:
    """Write DIRECTORY/scores.parquet; AssertionError if nothing died, or no video had to be sent again."""
    paths = sorted(map(str, (directory / "videos").iterdir()))
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    try:
        doomed = cluster.add_node(num_cpus=2)
        ray.init(address=cluster.address, log_to_driver=False)
        ray.data.DataContext.get_current().enable_progress_bars = False
        with (
            fake_server(directory / "one", "--seconds", 0.1) as one,
            fake_server(directory / "two", "--seconds", 0.1) as two,
        ):
            dataset = ray.data.from_arrow(pa.table({"path": paths}))
            scores = score(
                dataset,
                [one.url, two.url],
                concurrency=4,
                num_cpus=0.5,
                in_flight=4,
                rows_per_block=ROWS_PER_BLOCK,
            )
            tables = []
            for number, table in enumerate(scores.iter_batches(batch_size=None, batch_format="pyarrow")):
                tables.append(table)
                if number == 10:
                    workers = [
                        p.pid for raylet in doomed.all_processes["raylet"] for p in descendants(raylet.process.pid)
                    ]
                    assert any("MapWorker" in " ".join(command_line(pid)) for pid in workers)
                    cluster.remove_node(doomed, allow_graceful=False)
                if number == 25:
                    assert two.process.poll() is None
                    two.process.kill()
            assert len(tables) == len(paths) // ROWS_PER_BLOCK
            # What the node and the server held was asked again.
            assert any(times > 1 for times in Counter(one.asked() + two.asked()).values())
        parquet.write_table(pa.concat_tables(tables), directory / "scores.parquet")
    finally:
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
