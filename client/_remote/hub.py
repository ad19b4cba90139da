"""Files in repositories of the Hugging Face hub, by its API.

`HfFileSystem` lists the folder of each file that it looks at, and keeps the names, once for each thread.
"""

from collections.abc import Iterator
from typing import Any

SILENT_SECONDS = 30.0
"""How long the hub may send nothing."""
_BUCKETS = "buckets/"
"""What the hub calls buckets are no repositories."""


def is_in_repository(path: str) -> bool:
    """Whether a path of an `HfFileSystem` is one in a repository."""
    return not path.startswith(_BUCKETS)


class Hub:
    """An `HfFileSystem` that lists, looks and reads without keeping names."""

    def __init__(self, system: Any) -> None:
        from huggingface_hub import HfApi

        self._system = system
        self._api = HfApi(endpoint=system.endpoint, token=system.token)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._system, name)

    def info(self, path: str) -> dict[str, Any]:
        """Type, size and version of a file or folder. Raises FileNotFoundError, and errors of the hub."""
        place = self._system.resolve_path(path)
        folder = {"name": path, "size": 0, "type": "directory"}
        if not place.path_in_repo:
            return folder
        found: list[Any] = self._api.get_paths_info(place.repo_id, place.path_in_repo, **_where(place))
        if not found:
            raise FileNotFoundError(path)
        if not hasattr(found[0], "blob_id"):
            return folder
        return {"name": path, "size": found[0].size, "type": "file", "blob_id": found[0].blob_id}

    def files(self, path: str) -> Iterator[str]:
        """The paths of all files below a folder, a page at a time; none if there is no such folder."""
        from huggingface_hub.errors import EntryNotFoundError

        place = self._system.resolve_path(path)
        root = place.unresolve().removesuffix(place.path_in_repo).rstrip("/")
        tree = self._api.list_repo_tree(place.repo_id, place.path_in_repo or None, recursive=True, **_where(place))
        try:
            yield from (f"{root}/{found.path}" for found in tree if hasattr(found, "blob_id"))
        except EntryNotFoundError:
            return

    def cat_file(self, path: str, start: int, end: int) -> bytes:
        """The bytes of a file from `start` to `end`."""
        from huggingface_hub import hf_hub_url
        from huggingface_hub.utils import build_hf_headers, hf_raise_for_status, http_backoff

        place = self._system.resolve_path(path)
        address = hf_hub_url(place.repo_id, place.path_in_repo, endpoint=self._system.endpoint, **_where(place))
        headers = build_hf_headers(token=self._system.token) | {"range": f"bytes={start}-{end - 1}"}
        answer = http_backoff("GET", address, headers=headers, timeout=SILENT_SECONDS, max_retries=0)
        hf_raise_for_status(answer)
        return bytes(answer.content)


def _where(place: Any) -> dict[str, Any]:
    return {"repo_type": place.repo_type, "revision": place.revision}
