"""The camera moves that a sentence of a prompt asks for: whose each verb is, and whether it is denied."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

from .words import (
    ABSOLUTE,
    ADJECTIVES,
    ARTICLES,
    AUXILIARIES,
    CAMERA,
    CLAUSE_OF_PHRASE,
    INTRODUCING,
    JOINTS,
    MORE,
    NEGATIONS,
    NEUTRAL,
    NOUNS,
    OWNERS,
    PACES,
    PHRASES,
    PREPOSITIONS,
    PRONOUNS,
    RESETS,
    RIGGING,
    SHOTS,
    VERBS,
    Verb,
)

_VERBS = [
    (verb, re.compile(verb.matches), re.compile(MORE.format(directions="|".join(verb.directions) or "(?!)")))
    for verb in VERBS
]
_TOKEN = re.compile(r"[\w'°-]+|[,&]")
_DENYING_JOINTS = frozenset((",", "and", "&", "or", "nor"))
_NEW = frozenset(("", ",", "move", "followed", "except"))
"""What begins a clause in which a bare `zoom in` stands alone; after `and`, it could be what a plural subject does."""


class _Subject(Enum):
    CAMERA = "the camera"
    OTHER = "somebody else, or not certain"
    UNSAID = "none so far"


@dataclass
class _Move:
    """A verb of a camera move, or its noun, in a sentence."""

    verb: Verb
    word: str
    moves: set[str]
    has_direction: bool
    is_shot: bool
    start: int
    end: int
    is_asked: bool = False
    is_denied: bool = False

    @property
    def is_participle(self) -> bool:
        return self.word.endswith("ing")

    @property
    def is_finite(self) -> bool:
        return self.word.endswith(("s", "ed"))

    @property
    def is_bare(self) -> bool:
        """Whether it can be a noun or an imperative."""
        return not self.is_participle and not self.is_finite


@dataclass
class _Clause:
    """A clause up to a word."""

    joint: str
    """What begins it: a word, a comma, `move` after a move, or nothing."""
    words: list[str] = field(default_factory=list)
    """Its words."""
    subject: _Subject = _Subject.UNSAID
    """Whose the move before is, if one begins it."""


@dataclass(frozen=True)
class _Before:
    """The words of a clause before a move."""

    core: list[str]
    """Without articles, auxiliaries and words of manner at the end."""
    has_article: bool
    has_pace: bool
    has_auxiliary: bool
    is_denied: bool


def asked_in(sentence: str) -> set[str]:
    """The moves that a sentence, in lower case, asks for."""
    moves = _moves(sentence)
    carried = _Subject.UNSAID
    clause = _Clause("")
    last: _Move | None = None
    for token in _tokens(sentence, moves):
        if isinstance(token, _Move):
            clause = _Clause("move", subject=_decide(token, clause, carried, last))
            last = token
        elif token in JOINTS:
            subject = clause.subject if clause.joint == "move" else _subject_of(clause.words)
            carried = carried if subject is _Subject.UNSAID else subject
            clause = _Clause(token)
            last = None if token in RESETS else last
        else:
            clause.words.append(token)
    return {move for each in moves if each.is_asked for move in each.moves} | set(_phrases(sentence))


def _moves(sentence: str) -> list[_Move]:
    """The verbs of camera moves in their order; of two that overlap, the one that `VERBS` has first."""
    found: list[_Move] = []
    for verb, pattern, more in _VERBS:
        for match in pattern.finditer(sentence):
            if any(match.start() < each.end and each.start < match.end() for each in found):
                continue
            direction = match["direction"] if verb.directions else None
            moves = {verb.kind} if direction is None else {verb.move(direction)}
            end = match.end()
            while direction is not None and (further := more.match(sentence, end)):
                moves = {verb.kind} if further["joint"] == "or" else moves | {verb.move(further["direction"])}
                end = further.end()
            named = {move for move in moves if move is not None}
            is_shot = match["shot"] is not None
            found.append(_Move(verb, match["verb"], named, direction is not None, is_shot, match.start(), end))
    return sorted(found, key=lambda each: each.start)


def _tokens(sentence: str, moves: Sequence[_Move]) -> Iterator[str | _Move]:
    place = 0
    for move in moves:
        yield from _TOKEN.findall(sentence[place : move.start])
        yield move
        place = move.end
    yield from _TOKEN.findall(sentence[place:])


def _decide(move: _Move, clause: _Clause, carried: _Subject, last: _Move | None) -> _Subject:
    """Set whether a move is asked for; returns whose it is."""
    before = _before(clause.words)
    continues = last is not None and clause.joint in _DENYING_JOINTS and not before.core
    move.is_denied = before.is_denied
    if continues and last is not None and last.is_denied:
        move.is_denied |= clause.joint == "nor" or not (move.is_finite or before.has_article)
    subject = _subject(move, before, clause, carried)
    is_alternative = clause.joint == "or"
    if is_alternative and continues and last is not None:
        last.is_asked = False
    move.is_asked = subject is _Subject.CAMERA and not move.is_denied and not is_alternative
    return subject


def _subject(move: _Move, before: _Before, clause: _Clause, carried: _Subject) -> _Subject:
    if move.is_shot and not move.has_direction and move.verb.kind in SHOTS:
        return _Subject.OTHER if before.core and _is_owned(clause.words) else _Subject.CAMERA
    if before.core:
        found = _subject_before(before.core, move, carried)
        is_rig = move.is_bare and not before.has_auxiliary and not move.has_direction and move.verb.kind in RIGGING
        return _Subject.OTHER if is_rig else found
    if move.is_bare and not before.has_auxiliary and (before.has_article or before.has_pace):
        return _subject_of_noun(move, before)
    if carried is _Subject.CAMERA or move.verb.is_cameras_alone or not move.has_direction:
        return carried if carried is _Subject.CAMERA else _Subject.OTHER
    stands_alone = move.is_bare and not before.has_auxiliary and clause.joint in _NEW
    return _Subject.CAMERA if stands_alone or carried is _Subject.UNSAID else _Subject.OTHER


def _subject_of_noun(move: _Move, before: _Before) -> _Subject:
    """`a slow pan left`, `a zoom in`; not `a pan left on the stove`, and not `a slow truck right behind`."""
    verb = move.verb
    if verb.is_cameras_alone or (not move.has_direction and not (before.has_pace and verb.kind in NOUNS)):
        return _Subject.OTHER
    is_thing = before.has_article and verb.is_thing and not (before.has_pace and not verb.is_vehicle)
    return _Subject.OTHER if is_thing else _Subject.CAMERA


def _before(words: Sequence[str]) -> _Before:
    core = list(words)
    has_article = has_pace = has_auxiliary = False
    while core:
        word = core[-1]
        if word in INTRODUCING and (has_article or has_pace):
            core = []  # with a slow pan left
        elif word in ARTICLES:
            has_article = True
        elif word in PACES:
            has_pace = True
        elif word in AUXILIARIES:
            has_auxiliary = True
        elif not (word.endswith("ly") or _denies(word)):
            break
        core = core[:-1]
    if all(word in NEUTRAL or word in ARTICLES or word.endswith("ly") for word in core):
        core = []
    return _Before(core, has_article, has_pace, has_auxiliary, any(map(_denies, words)))


def _denies(word: str) -> bool:
    return word in NEGATIONS or word.endswith("n't")


def _subject_before(core: Sequence[str], move: _Move, carried: _Subject) -> _Subject:
    """Whose a verb is, of which this stands before it in its clause."""
    if list(core) == ["it"]:
        return _Subject.CAMERA if carried is _Subject.CAMERA else _Subject.OTHER
    place = _camera_in(core)
    if place is None:
        return _Subject.OTHER
    after = core[place + 1 :]
    if after[:1] in (["that"], ["which"]):
        after = after[1:]  # a shot that zooms in
    if all(word in AUXILIARIES or word in NEUTRAL or word.endswith("ly") for word in after):
        # The camera is the subject, or it is said what it does meanwhile: with the camera panning left.
        meanwhile = move.is_participle and tuple(core[max(0, place - 2) : place]) in ABSOLUTE
        return _Subject.CAMERA if meanwhile or _is_subject(core, place) else _Subject.OTHER
    of_something = after[0] == "of" and move.is_finite and PRONOUNS.isdisjoint(after)
    return _Subject.CAMERA if of_something and _is_subject(core, place) else _Subject.OTHER


def _subject_of(words: Sequence[str]) -> _Subject:
    """Whose a clause without a move is."""
    core = _before(words).core
    if not core:
        return _Subject.UNSAID
    place = next((index for index in range(len(core)) if core[index] in CAMERA), None)
    is_camera = place is not None and not _is_owned(core[:place]) and _is_subject(core, place)
    return _Subject.CAMERA if is_camera else _Subject.OTHER


def _camera_in(words: Sequence[str]) -> int | None:
    """The place of the last camera that nobody in the picture has."""
    places = [index for index, word in enumerate(words) if word in CAMERA and not _is_owned(words[:index])]
    return places[-1] if places else None


def _is_subject(words: Sequence[str], place: int) -> bool:
    before = words[:place]
    return (
        PREPOSITIONS.isdisjoint(before)
        and PRONOUNS.isdisjoint(before)
        and "with" not in before[1:]
        and sum(word in ARTICLES for word in before) <= 1
        and not any(word.endswith("s") and not word.endswith(ADJECTIVES) and word not in NEUTRAL for word in before)
    )


def _is_owned(before: Sequence[str]) -> bool:
    """Whether the words before a camera say that somebody in the picture has it."""
    last = before[-1:]
    return any(word in OWNERS or word.endswith("'s") for word in last) or " ".join(before[-2:]) in OWNERS


def _phrases(sentence: str) -> Iterator[str]:
    for move, pattern in PHRASES.items():
        for match in re.finditer(pattern, sentence):
            words = _TOKEN.findall(re.split(CLAUSE_OF_PHRASE, sentence[: match.start()])[-1])
            is_alternative = (
                words[-2:][:1] == ["or"] or words[-1:] == ["or"] or sentence[match.end() :].startswith(" or ")
            )
            if not (any(map(_denies, words)) or _is_owned(words) or is_alternative):
                yield move
                break
