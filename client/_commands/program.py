"""The commands, and how to run one under the name that the user typed."""

import os
import re
import sys
from importlib import import_module

from .._optional import missing
from .parser import INTERRUPTED

COMMANDS = {
    "score": "score videos: print the scores, or write them into a table",
    "scenes": "find the scenes of footage: a list of parts to score",
    "filter": "split a table of scores into videos to keep and videos to drop",
    "summary": "summarize a table of scores, or compare two",
    "search": "find the videos of a table that show what a sentence says",
    "evaluate": "how well frames and captions fit: compare sets of videos, or captions of one set",
    "caption": "caption videos by a vision-language model behind the OpenAI chat API",
    "annotate": "say yes or no, one video after the other, or compare two people's answers",
    "learn": "learn from yes and no which videos to keep",
    "judge": "judge a video generator by the camera moves that its prompts ask for",
    "report": "write an HTML page for choosing thresholds",
    "first-pass": "calibrate the thresholds of score --first-pass",
    "cut": "write each part of a list as a file, or as a sample of a WebDataset shard",
    "watch": "watch a camera, a stream or a file: print the labels of each clip as they come",
}
"""What each command does, in the order of use."""
_NEEDS = {
    "filter": ("pyarrow",),
    "summary": ("pyarrow",),
    "scenes": ("scenedetect", "cv2", "av"),
    "search": ("pyarrow",),
    "evaluate": ("pyarrow", "scipy"),
    "caption": ("pyarrow", "openai", "av", "PIL"),
    "annotate": ("pyarrow", "av"),
    "learn": ("pyarrow", "xgboost", "sklearn"),
    "judge": ("pyarrow", "av", "cv2"),
    "report": ("pyarrow", "av"),
    "first-pass": ("pyarrow", "av"),
    "cut": ("pyarrow", "av"),
    "watch": ("av", "PIL"),
}
_EXTRAS = {
    "scenes": "scenes",
    "evaluate": "evaluate",
    "caption": "caption",
    "annotate": "report",
    "learn": "learn",
    "judge": "judge",
    "cut": "cut",
    "watch": "watch",
}


def run(command: str, program: str, arguments: list[str] | None = None) -> int:
    """Run a command that was typed as `program`, such as `video-motion score`; returns the exit status."""
    if sentence := missing(program, *_NEEDS.get(command, ()), extra=_EXTRAS.get(command)):
        print(sentence, file=sys.stderr)
        return 1
    try:
        status: int = import_module(f"._commands.{command.replace('-', '_')}", __package__.rpartition(".")[0]).main(
            arguments, program
        )
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of the output closed it, as `head` does; without this, the flush at exit would fail as well.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def sibling(program: str, command: str) -> str:
    """Another command as typed like `program`: `python -m client.filter` for `python -m client.score`."""
    return re.sub(r"\w+$", command, program)
