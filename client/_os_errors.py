"""What the system says of an error, for messages."""

import os


def reason_of(error: OSError) -> str:
    """The system's own words, such as `No space left on device`: pyarrow puts a number and its own around them."""
    return os.strerror(error.errno) if error.errno else str(error)


def sentence_of(error: OSError, path: object) -> str:
    """The same with the file: that of the error, else `path`. An error without a number is a sentence already."""
    return f"{error.filename or path}: {reason_of(error)}" if error.errno else str(error)
