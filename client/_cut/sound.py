"""The sound of a clip: cut to the sample and encoded again."""

from collections.abc import Iterator
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from numpy.typing import NDArray

BITS_PER_SECOND = 96_000
"""For each channel."""
_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_OPUS_RATE = 48_000
_JITTER_SECONDS = 0.02
"""Timestamps are rounded; only a larger gap is one."""

Samples = NDArray[np.float32]
"""(channels, samples) from -1 to 1."""


class Sound:
    """Takes decoded sound, and encodes what belongs to the clip.

    Until `begin` says where the clip begins, it holds what may belong to it.
    """

    def __init__(self, source: AudioStream, *, is_webm: bool, start_seconds: float | None, end_seconds: float | None):
        """Times are timestamps; None for those of the video."""
        context = source.codec_context
        self.codec = "libopus" if is_webm else "aac"
        self.rate = context.sample_rate if context.sample_rate in _AAC_RATES and not is_webm else _OPUS_RATE
        self.layout = "mono" if context.channels == 1 else "stereo"
        self._resampler = av.AudioResampler(format="fltp", layout=self.layout, rate=self.rate)
        self._start_seconds, self._end_seconds = start_seconds, end_seconds
        self._held: list[tuple[float, Samples]] = []
        self._output: OutputContainer | None = None
        self._zero_seconds = 0.0
        self._written = 0

    def begin(self, output: OutputContainer, zero_seconds: float) -> None:
        """The clip begins at this timestamp, in this file, to which nothing was written yet."""
        self._output, self._zero_seconds = output, zero_seconds
        channels = 1 if self.layout == "mono" else 2
        self._stream = cast(AudioStream, output.add_stream(self.codec, rate=self.rate, layout=self.layout))
        self._stream.bit_rate = BITS_PER_SECOND * channels

    def flush_held(self) -> None:
        """Encode what was held before `begin`; once the video's stream is there, too."""
        held, self._held = self._held, []
        for seconds, samples in held:
            self._write(seconds, samples)

    @property
    def is_done(self) -> bool:
        """Whether the clip needs no more sound."""
        limit = self._limit
        return limit is not None and self._written >= limit

    def add(self, frame: av.AudioFrame | None) -> None:
        """Take the next frame; None after the last one."""
        if self.is_done:
            return
        for resampled in self._resampler.resample(frame):
            samples = cast(Samples, resampled.to_ndarray())
            if resampled.pts is None or resampled.time_base is None or not samples.shape[1]:
                continue
            seconds = float(resampled.pts * resampled.time_base)
            if self._output is not None:
                self._write(seconds, samples)
            elif self._start_seconds is None or seconds + samples.shape[1] / self.rate > self._start_seconds - 1:
                self._held.append((seconds, samples))

    def finish(self, end_seconds: float) -> None:
        """End with the video, at this timestamp."""
        if self._end_seconds is None or end_seconds < self._end_seconds:
            self._end_seconds = end_seconds
        if self._output is None:
            return
        self._output.mux(self._stream.encode(None))

    @property
    def _limit(self) -> int | None:
        if self._end_seconds is None or self._output is None:
            return None
        return round((self._end_seconds - self._zero_seconds) * self.rate)

    def _write(self, seconds: float, samples: Samples) -> None:
        """Write samples at their place: a gap becomes silence, an overlap is left out."""
        assert self._output is not None
        gap = round((seconds - self._zero_seconds) * self.rate) - self._written
        if not self._written or abs(gap) > _JITTER_SECONDS * self.rate:
            if gap < 0:
                samples = samples[:, -gap:]
            else:
                for silence in _silence(gap, len(samples)):
                    self._encode(silence)
        self._encode(samples)

    def _encode(self, samples: Samples) -> None:
        assert self._output is not None
        if (limit := self._limit) is not None:
            samples = samples[:, : max(0, limit - self._written)]
        if not samples.shape[1]:
            return
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=self.layout)
        frame.sample_rate, frame.pts, frame.time_base = self.rate, self._written, Fraction(1, self.rate)
        self._written += samples.shape[1]
        self._output.mux(self._stream.encode(frame))


def _silence(samples: int, channels: int) -> Iterator[Samples]:
    for first in range(0, samples, _OPUS_RATE):
        yield np.zeros((channels, min(_OPUS_RATE, samples - first)), np.float32)
