"""What a source is, and what waits between reading and decoding."""

import os
import threading
from fractions import Fraction
from pathlib import Path

import pytest
from av.packet import Packet

from client._watch import packet_queue
from client._watch.packet_queue import WAITING_PACKETS, PacketQueue
from client._watch.source import Kind, Source, source_of
from client.watch import SourceError
from tests.waiting import wait_for


def packet(index: int, *, key: bool = False, size: int = 10) -> Packet:
    made = Packet(size)
    made.time_base, made.dts = Fraction(1, 10), index
    made.is_keyframe = key
    return made


def times(queue: PacketQueue) -> list[tuple[int | None, bool]]:
    """The times of all packets, and whether each follows a gap."""
    queue.end()
    found = []
    while read := queue.get(0):
        found.append((read.packet.dts, read.follows_gap))
    return found


def test_a_name_says_what_a_source_is(tmp_path: Path) -> None:
    (tmp_path / "rtsp:video.mp4").touch()
    os.mkfifo(tmp_path / "pipe")
    assert source_of(tmp_path / "rtsp:video.mp4").kind is Kind.FILE
    assert source_of(str(tmp_path / "pipe")).kind is Kind.PIPE
    assert source_of("-").kind is Kind.PIPE
    assert source_of("/dev/null").kind is Kind.CAMERA
    assert source_of("rtsp://camera/stream").kind is Kind.NETWORK


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.mp4", "cannot read missing.mp4: No such file or directory"),
        (".", "cannot read .: it is a directory"),
        ("a\0b", "cannot read a\\x00b: no file can have this name"),
    ],
)
def test_a_source_that_is_not_there_has_a_sentence(name: str, message: str) -> None:
    with pytest.raises(SourceError) as raised:
        source_of(name)
    assert str(raised.value) == message


def test_no_message_has_a_password() -> None:
    assert Source("rtsp://me:secret@camera:554/a@b", Kind.NETWORK).shown == "rtsp://me:***@camera:554/a@b"
    assert Source("rtsp://camera/a:b@c", Kind.NETWORK).shown == "rtsp://camera/a:b@c"
    assert Source("-", Kind.PIPE).shown == "standard input"


def test_a_file_waits_for_its_reader() -> None:
    queue = PacketQueue()
    for index in range(WAITING_PACKETS):
        queue.put(packet(index), index / 10)
    writer = threading.Thread(target=queue.put, args=(packet(99), 9.9))
    writer.start()
    assert queue.get(0) is not None
    writer.join(10)
    assert not writer.is_alive()
    assert (len(times(queue)), queue.dropped) == (WAITING_PACKETS, 0)


def test_a_file_whose_reader_is_gone_waits_no_more() -> None:
    queue = PacketQueue()
    for index in range(WAITING_PACKETS):
        queue.put(packet(index), index / 10)
    writer = threading.Thread(target=queue.put, args=(packet(99), 9.9))
    writer.start()
    queue.end()
    writer.join(10)
    assert not writer.is_alive()


def test_a_live_source_that_gets_ahead_loses_what_is_before_the_newest_keyframe() -> None:
    queue = PacketQueue()
    queue.live = True
    for index in range(62):
        queue.put(packet(index, key=index % 25 == 0), index / 10)
    assert queue.behind_seconds <= packet_queue.SHED_SECONDS
    assert queue.dropped == 50
    assert times(queue) == [(50, True), *((index, False) for index in range(51, 62))]


def test_a_live_source_with_too_many_bytes_and_one_keyframe_goes_on_at_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(packet_queue, "SHED_BYTES", 1000)
    queue = PacketQueue()
    queue.live = True
    for index in range(8):
        queue.put(packet(index, key=index in (0, 6), size=300), index / 10)
    assert queue.dropped == 6
    assert times(queue) == [(6, True), (7, False)]


def test_reading_ends_a_wait_for_packets() -> None:
    queue = PacketQueue()
    got: list[object] = []
    reader = threading.Thread(target=lambda: got.append(queue.get(30)))
    reader.start()
    queue.end()
    wait_for(lambda: got, 5)
    assert got == [None]
    assert queue.has_ended
