"""Looks at one video after the other, in a process of its own: a decoder may crash or hang on a broken file.

Reads requests from standard input: a line with a JSON object `{path, bytes, part, thresholds, threads}`, then so many
bytes of an encoded video, if there is no path. Writes a line of JSON for each: `{"look": [...]}`, the fields of `Look`,
or null, or `{"error": sentence}`.
"""

import json
import os
import sys
from dataclasses import astuple

from .errors import FirstPassError
from .footage import look_at
from .part import Part
from .thresholds import Thresholds


def main() -> None:
    """Answer requests until standard input ends."""
    # What libraries print is no answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    while line := sys.stdin.buffer.readline():
        request = json.loads(line)
        content = sys.stdin.buffer.read(request["bytes"]) if request["path"] is None else None
        thresholds = None if request["thresholds"] is None else Thresholds.of(request["thresholds"])
        try:
            look = look_at(
                request["path"] if content is None else content,
                Part(*request["part"]),
                thresholds,
                threads=request["threads"],
            )
            answer: dict[str, object] = {"look": None if look is None else astuple(look)}
        except FirstPassError as error:
            answer = {"error": str(error)}
        except MemoryError:
            answer = {"error": "there is not enough memory for its frames"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
