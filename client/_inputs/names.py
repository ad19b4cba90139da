"""Names of files as bytes, as text for tables, and as text for messages."""

import os
import re

LONGEST_PATH = 4096
"""Bytes of the longest path that Linux opens."""
SHOWN = 256
"""Characters of the longest name in a message."""
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def as_bytes(name: str) -> bytes:
    """The name as the system has it; text that no file can have as its name is encoded all the same."""
    try:
        return os.fsencode(name)
    except UnicodeEncodeError:
        return name.encode("utf-8", "surrogatepass")


def escaped(text: str) -> str:
    """The text as valid UTF-8 without NUL; what is not has backslash escapes."""
    return as_bytes(text).decode("utf-8", "backslashreplace").replace("\0", "\\x00")


def as_text(name: str) -> str:
    """The name for tables: valid UTF-8 without NUL, other bytes as backslash escapes.

    A name that is longer than `LONGEST_PATH` is cut after `SHOWN` characters: no file has it.
    """
    encoded = as_bytes(name)
    text = encoded[: 4 * SHOWN if len(encoded) > LONGEST_PATH else None].decode("utf-8", "backslashreplace")
    text = text.replace("\0", "\\x00")
    return text if len(encoded) <= LONGEST_PATH else f"{text[:SHOWN]}…"


def shown(name: str, most: int = SHOWN) -> str:
    """The name for messages: on one line, at most `most` characters, cut in its middle."""
    text = _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), as_text(name))
    if len(text) <= most:
        return text
    start = (most - 1) // 2
    return f"{text[:start]}…{text[start + 1 - most :]}"
