"""Files of calls in shared memory, which only the server's own processes can name.

Every user of the machine can list /dev/shm, and can reach Triton beside the proxy. So a call has a token that cannot be
guessed, and its files are named by a digest of the token: a name that is read there is no token.
"""

import hashlib
import re
import secrets

from video.errors import InvalidParameter

_TOKEN = re.compile("[0-9a-f]{32}")


def new_token() -> str:
    """A token for the files of a new call."""
    return secrets.token_hex(16)


def name_of(token: object, mark: str) -> str:
    """The name of the file with this token; `InvalidParameter` if it is none, which names the parameter `mark`."""
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise InvalidParameter(f"{mark} is {token!r:.60}, which only the server sets: no file has this name")
    return hashlib.sha256(token.encode()).hexdigest()[:32]
