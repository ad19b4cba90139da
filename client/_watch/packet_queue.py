"""Packets between the thread that reads them and the one that decodes them."""

import threading
from collections import deque
from dataclasses import dataclass

from av.packet import Packet

WAITING_PACKETS = 32
"""How many packets wait at most where the source waits for its reader."""
SHED_SECONDS = 6.0
SHED_BYTES = 64 * 2**20
"""A source that does not wait: with more than this waiting, what is before the newest keyframe is dropped."""


@dataclass(frozen=True)
class Read:
    """A packet, as it leaves the queue."""

    packet: Packet
    """What to decode."""
    follows_gap: bool
    """Whether packets before it were dropped."""


class PacketQueue:
    """A bounded queue: if the source is `live`, packets that are too many are dropped, else `put` waits."""

    def __init__(self) -> None:
        self.live = False
        """Whether the source goes on while packets wait; set before the first one is put."""
        self.dropped = 0
        """Packets dropped so far."""
        self._packets: deque[tuple[Packet, float]] = deque()
        self._bytes = 0
        self._gap = False
        self._needs_keyframe = False
        self._ended = False
        self._changed = threading.Condition()

    @property
    def behind_seconds(self) -> float:
        """How much video waits."""
        with self._changed:
            return self._waiting_seconds()

    @property
    def has_ended(self) -> bool:
        """Whether no more packets come."""
        with self._changed:
            return self._ended and not self._packets

    def put(self, packet: Packet, seconds: float) -> None:
        """Add a packet that is decoded at `seconds`, on the source's clock."""
        with self._changed:
            while not self.live and len(self._packets) >= WAITING_PACKETS and not self._ended:
                self._changed.wait()
            if self._needs_keyframe and not packet.is_keyframe:
                self.dropped += 1
                return
            self._needs_keyframe = False
            self._packets.append((packet, seconds))
            self._bytes += packet.size
            if self.live and (self._bytes > SHED_BYTES or self._waiting_seconds() > SHED_SECONDS):
                self._shed()
            self._changed.notify_all()

    def get(self, timeout_seconds: float) -> Read | None:
        """The next packet; None if none came in time, or none comes any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._packets or self._ended, timeout_seconds)
            if not self._packets:
                return None
            packet, _ = self._packets.popleft()
            self._bytes -= packet.size
            gap, self._gap = self._gap, False
            self._changed.notify_all()
            return Read(packet, gap)

    def end(self) -> None:
        """No more packets come."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _waiting_seconds(self) -> float:
        return max(0.0, self._packets[-1][1] - self._packets[0][1]) if self._packets else 0.0

    def _shed(self) -> None:
        keyframes = [index for index, (packet, _) in enumerate(self._packets) if packet.is_keyframe]
        self._needs_keyframe = not keyframes
        keep_from = keyframes[-1] if keyframes else len(self._packets)
        if not keep_from and self._bytes <= SHED_BYTES:
            return  # one long group of pictures: its frames are dropped when they are decoded
        if not keep_from:
            self._needs_keyframe, keep_from = True, len(self._packets)
        for _ in range(keep_from):
            packet, _ = self._packets.popleft()
            self._bytes -= packet.size
        self.dropped += keep_from
        self._gap = True
