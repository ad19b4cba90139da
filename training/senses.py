"""What a network that has learned without them gets in addition: a sense of time and eyes for focus."""

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from training.clock import put_clock, put_looking_heads
from training.focus import put_fine_waves
from training.losses import TUBELETS
from training.network import Student
from training.train import Clips

CLIPS = 24
"""So many say how strong what is added has to be."""


def with_senses(learned: Mapping[str, Tensor], clips: Clips) -> dict[str, Tensor]:
    """The state of the student that has `learned`, with both."""
    student = Student()
    student.load_state_dict(learned)
    video = clips.batch(np.random.default_rng(0), CLIPS, np.arange(TUBELETS))[0].float()
    put_clock(student, video)
    heads = put_looking_heads(student, video)
    put_fine_waves(student, video, heads[1])
    return student.state_dict()
