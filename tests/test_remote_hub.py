"""Files of the Hugging Face hub: what is asked of it to list, look and read, and what its failures mean."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import HfFileSystem, constants

from client._remote import patience, reading
from client._remote.addresses import opened
from client._remote.listing import files_below
from client._remote.looking import is_file, is_prefix
from client._remote.pattern import files_matching
from client._remote.reading import read_remote
from client._remote.troubles import Kind, kind_of
from client._remote.writing import UploadError, try_write
from client.errors import UnreadableFile
from tests.hub import REPOSITORY, TOKEN, Hub, hub

LIMIT = 1 << 30
ROOT = f"hf://datasets/{REPOSITORY}"
FILES = {
    "README.md": b"cards",
    "videos/a.mp4": b"video a",
    "videos/b.mp4": b"video b",
    "videos/more/c d.mp4": b"video c",
    "videos/more/e.mp4": bytes(range(256)) * 40,
    "videos2/f.mp4": b"video f",
}


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with one data set; a call to it is tried again for a quarter of a second."""
    monkeypatch.setattr(patience, "SECONDS", 0.25)
    monkeypatch.setattr(patience, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(patience, "_all", {})
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with hub(dict(FILES)) as running:
        monkeypatch.setattr(constants, "ENDPOINT", running.endpoint)
        template = running.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        HfFileSystem.clear_instance_cache()
        yield running
    HfFileSystem.clear_instance_cache()
    huggingface_hub.close_session()


def fails(url: str) -> UnreadableFile:
    with pytest.raises(UnreadableFile) as raised:
        read_remote(url, LIMIT)
    return raised.value


def test_a_folder_is_listed_a_page_at_a_time(repository: Hub) -> None:
    names = files_below(f"{ROOT}/videos/")
    assert [*islice(names, 2)] == [f"{ROOT}/videos/a.mp4", f"{ROOT}/videos/b.mp4"]
    assert repository.asked("/tree/") == 1
    assert [*names] == [f"{ROOT}/videos/more/c d.mp4", f"{ROOT}/videos/more/e.mp4"]
    assert repository.asked("/tree/") == 3
    assert len([*files_below(ROOT)]) == len(FILES)
    assert len([*files_below(f"{ROOT}@main/videos/")]) == 4
    assert [*files_below(f"{ROOT}/nothing/")] == []
    assert opened(ROOT)[0].dircache == {}


def test_patterns_and_prefixes(repository: Hub) -> None:
    found = files_matching(f"{ROOT}/videos/**/*.mp4", lambda name: name.endswith(".mp4"))
    assert len([*found]) == 4
    assert is_prefix(f"{ROOT}/videos")
    assert is_prefix(ROOT)
    assert not is_prefix(f"{ROOT}/video")
    assert not is_prefix(f"{ROOT}/videos/a.mp4")
    assert not is_file(f"{ROOT}/videos")


def test_reading_a_file_lists_no_folder(repository: Hub) -> None:
    assert read_remote(f"{ROOT}/videos/a.mp4", LIMIT) == b"video a"
    assert read_remote(f"{ROOT}@main/videos/more/c d.mp4", LIMIT) == b"video c"
    assert repository.asked("/tree/") == 0
    assert repository.asked("/paths-info/") == repository.asked("/resolve/") == 2


def test_a_large_file_is_read_in_ranges(repository: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PART_BYTES", 4096)
    assert read_remote(f"{ROOT}/videos/more/e.mp4", LIMIT) == FILES["videos/more/e.mp4"]
    assert sorted(one.rpartition(" ")[2] for one in repository.requests if "/resolve/" in one) == [
        "bytes=0-4095",
        "bytes=4096-8191",
        "bytes=8192-10239",
    ]


@pytest.mark.parametrize("broken", [1, 2, 3])
def test_a_broken_connection_is_tried_again(broken: int, repository: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "SECONDS", 20)
    read_remote(f"{ROOT}/videos/a.mp4", LIMIT)
    repository.broken = broken
    assert read_remote(f"{ROOT}/videos/b.mp4", LIMIT) == b"video b"


def test_a_hub_that_is_away_ends_the_run(repository: Hub) -> None:
    repository.broken = 1 << 30
    assert fails(f"{ROOT}/videos/a.mp4").reason == patience.STORE_AWAY


def test_what_the_hub_says_no_to(repository: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fails(f"{ROOT}/videos/z.mp4").reason == "not_found"
    assert fails(f"hf://datasets/{REPOSITORY}@other/a.mp4").reason == "not_found"
    assert str(fails(f"{ROOT}/videos")) == "cannot read the file: it is a folder"
    monkeypatch.setenv("HF_TOKEN", "hf_bad")
    HfFileSystem.clear_instance_cache()
    assert fails(f"{ROOT}/videos/a.mp4").reason == "forbidden"
    assert repository.asked("bad") == 0


def test_a_repository_that_is_not_there_is_found_before_the_work(repository: Hub) -> None:
    try_write(f"{ROOT}/scores.parquet")
    other = "hf://datasets/owner/other"
    sentence = "the store has no such repository (404)"
    with pytest.raises(UploadError) as raised:
        try_write(f"{other}/scores.parquet")
    assert str(raised.value) == f"{other}/scores.parquet: cannot write there: {sentence}"
    with pytest.raises(UnreadableFile) as listed:
        next(files_below(f"{other}/"))
    assert str(listed.value) == sentence


@pytest.mark.parametrize("module", ["httpx", "httpcore", "httpx2", "httpcore2"])
def test_errors_of_every_version_of_the_hubs_client_may_pass(module: str) -> None:
    kind: Any = type("ConnectError", (Exception,), {"__module__": module})
    assert kind_of(kind("Connection refused")) is Kind.BROKEN


def test_a_file_that_changes_meanwhile_is_another_version(repository: Hub) -> None:
    file = reading.RemoteFile(f"{ROOT}/videos/a.mp4")
    file.check_unchanged()
    file._info["blob_id"] = "another"
    with pytest.raises(UnreadableFile, match="the file changed in the store while it was read"):
        file.check_unchanged()
