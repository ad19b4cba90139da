"""The file of answers: what is in it stays, but for the answers that the page gives anew."""

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from .._learn.answers import COLUMNS, Answer, Part, read_answers
from .._tables.replace import replacing


class Store:
    """Writes the answers of one person into a file that may have others, too."""

    def __init__(self, path: Path, annotator: str, parts: Sequence[Part]) -> None:
        """parts: what the page asks about. Takes up the file if it is there. Raises `LearnError`."""
        self.path = path
        """The file."""
        self.annotator = annotator
        """Who answers."""
        self._parts = parts
        # Answers without a name are of whoever takes up the file.
        found = read_answers(path) if path.exists() else []
        self._found = [replace(each, annotator=annotator) if each.annotator == str(path) else each for each in found]

    def answered(self) -> dict[Part, bool]:
        """What this person has answered before: the last answer to each part."""
        return {answer.part: answer.keep for answer in self._found if answer.annotator == self.annotator}

    def save(self, answers: Sequence[tuple[int, bool]]) -> None:
        """Write whole or not at all: what others answered, and these rows of the page. Raises OSError, ValueError."""
        asked = set(self._parts)
        others = [answer for answer in self._found if answer.annotator != self.annotator or answer.part not in asked]
        own = []
        for row, keep in answers:
            if type(row) is not int or not 0 <= row < len(self._parts) or type(keep) is not bool:
                raise ValueError(f"[{row!r}, {keep!r}] is no answer")
            own.append(Answer(self._parts[row], keep, self.annotator))
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for answer in (*others, *own):
            video, start, end = answer.part
            seconds = ["" if value is None else repr(value) for value in (start, end)]
            writer.writerow([video, "yes" if answer.keep else "no", *seconds, answer.annotator])
        with replacing(self.path) as partial:
            partial.write_text(text.getvalue(), "utf-8", "surrogateescape")
