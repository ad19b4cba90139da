"""Cut without encoding: packets from the last keyframe at or before the start."""

from collections.abc import Callable, Iterator
from fractions import Fraction

import av
from av.packet import Packet

from .errors import PartError
from .facts import Facts
from .opening import INTERLEAVED_SECONDS, TOLERANCE_SECONDS, Source, packets_from


def copy_part(
    source: Source, target: str, start_seconds: float | None, end_seconds: float | None, alive: Callable[[], None]
) -> Facts:
    """Write the packets of a part into a new file; times are timestamps. Raises `PartError` and PyAV's exceptions.

    Frames that come before the keyframe in time are left out, and so are frames after the end that nothing before it
    refers to, as far as their order tells.
    """
    video = source.video
    assert video.time_base is not None
    packets = _from_last_keyframe(source, start_seconds)
    first = next(packets, None)
    if first is None or first.pts is None:
        raise PartError("it has no keyframe with a timestamp to start from: cut it without --copy")
    zero = first.pts * video.time_base
    if end_seconds is not None and float(zero) >= end_seconds - TOLERANCE_SECONDS:
        raise PartError(f"it has no frame before {end_seconds:g} s: the first is at {float(zero):g} s")
    frames = 0
    last_end = zero
    video_done, sound_done = False, source.audio is None
    late: list[Packet] = []
    with av.open(target, "w") as output:
        streams = {stream.index: output.add_stream_from_template(stream) for stream in source.streams}

        def write(packet: Packet) -> None:
            base = source.container.streams[packet.stream_index].time_base
            assert base is not None
            shift = round(zero / base)
            packet.pts = None if packet.pts is None else packet.pts - shift
            packet.dts = None if packet.dts is None else packet.dts - shift
            packet.stream = streams[packet.stream_index]
            output.mux_one(packet)

        while first is not None:
            packet, first = first, next(packets, None)
            alive()
            is_video = packet.stream_index == video.index
            if packet.pts is None:
                if packet.dts is None:
                    continue  # the end of a stream
                raise PartError("a packet has no timestamp: cut it without --copy")
            base = source.container.streams[packet.stream_index].time_base
            assert base is not None
            time = packet.pts * base
            after = end_seconds is not None and float(time) >= end_seconds - TOLERANCE_SECONDS
            decode_time = time if packet.dts is None else packet.dts * base
            if end_seconds is not None and float(decode_time) >= end_seconds + INTERLEAVED_SECONDS:
                break
            if not is_video:
                sound_done = after
                if not after and time + (packet.duration or 0) * base > zero:
                    write(packet)
            elif end_seconds is not None and float(decode_time) >= end_seconds - TOLERANCE_SECONDS:
                video_done = True
            if video_done and sound_done:
                break
            if not is_video or video_done:
                continue
            if not packet.is_keyframe and time < zero:
                continue  # refers to frames before the keyframe
            if after:
                late.append(packet)
                continue
            for each in (*late, packet):  # the late ones were needed after all
                assert each.pts is not None
                last_end = max(last_end, (each.pts + (each.duration or 0)) * base)
                frames += 1
                write(each)
            late.clear()
    start = float(zero) if start_seconds is None else start_seconds
    end = float(last_end) if end_seconds is None else end_seconds
    return Facts(
        frames,
        float(zero),
        float(last_end - zero),
        source.audio is not None,
        earlier_seconds=max(0.0, round(start - float(zero), 6)),
        later_seconds=max(0.0, round(float(last_end) - end, 6)),
    )


def _from_last_keyframe(source: Source, start_seconds: float | None) -> Iterator[Packet]:
    """Packets from the last keyframe at or before the start on; sound that comes with it in the file is included."""
    video = source.video
    assert video.time_base is not None
    held: list[Packet] = []
    packets = packets_from(source, start_seconds)
    for packet in packets:
        if packet.stream_index != video.index:
            held.append(packet)
            continue
        time = _seconds(packet.pts, video.time_base)
        reached = _seconds(packet.dts if packet.dts is not None else packet.pts, video.time_base)
        started = any(each.stream_index == video.index for each in held)
        if packet.is_keyframe and time is not None and (not started or _is_at_most(time, start_seconds)):
            sound_after = [
                each for each in held if each.stream_index != video.index and _ends_after(source, each, time)
            ]
            held = [packet, *sound_after]
            started = True
        elif started:
            held.append(packet)
        if start_seconds is None and started:
            break
        if (
            reached is not None
            and start_seconds is not None
            and reached > start_seconds + TOLERANCE_SECONDS
            and started
        ):
            break
    if not any(each.stream_index == video.index for each in held):
        return
    yield from held
    yield from packets


def _ends_after(source: Source, packet: Packet, seconds: float) -> bool:
    base = source.container.streams[packet.stream_index].time_base
    assert base is not None
    return packet.pts is not None and float((packet.pts + (packet.duration or 0)) * base) > seconds


def _seconds(ticks: int | None, base: Fraction) -> float | None:
    return None if ticks is None else float(ticks * base)


def _is_at_most(seconds: float, start_seconds: float | None) -> bool:
    return start_seconds is not None and seconds <= start_seconds + TOLERANCE_SECONDS
