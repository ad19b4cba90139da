"""A pool of actors over the blocks of a dataset."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .scorer import Scorer, Servers

Work = Callable[[Scorer, Any], Any]
"""Makes a block of results of a scorer and a block of videos, each a `pyarrow.Table`."""


@dataclass(frozen=True)
class Actors:
    """The actors of a run."""

    least: int
    """Number of actors at the start."""
    most: int
    """Most of them."""
    num_cpus: float
    """CPUs that each one reserves."""
    rows_per_block: int
    """Videos of a block, at most."""


class Actor:
    """What runs in each actor: Ray calls it from several threads, so that a block begins while another one ends."""

    def __init__(self, work: Work, servers: Servers, signals: Any) -> None:
        self._work = work
        self._scorer = Scorer(servers, signals)

    def __call__(self, block: Any) -> Any:
        # One block of results for one of videos, in the same order: Ray repeats what a lost node had, and takes over
        # from the repetition the blocks that it has not had yet.
        return self._work(self._scorer, block)


def map_blocks(dataset: Any, work: Any, servers: Servers, actors: Actors) -> Any:
    """The dataset of what `work` makes of each block. `work.signals` says what the requests ask for.

    Rows of a block must fit into Ray's largest block (128 MiB), or Ray would cut it.
    """
    from ray.data import ActorPoolStrategy

    calls = math.ceil(servers.in_flight / actors.rows_per_block) + 1
    compute = ActorPoolStrategy(
        min_size=actors.least,
        max_size=actors.most,
        max_concurrent_calls_per_actor=calls,
        max_tasks_in_flight_per_actor=calls + 1,
        enable_true_multi_threading=True,
    )
    return dataset.map_batches(
        Actor,
        batch_size=None,
        batch_format="pyarrow",
        zero_copy_batch=True,
        compute=compute,
        num_cpus=actors.num_cpus,
        fn_constructor_args=(work, servers, work.signals),
        udf_modifying_row_count=False,
    )
