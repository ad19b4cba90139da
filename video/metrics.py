"""The metrics that the models that read videos add to Triton's own.

Only a stub of Triton's python backend can import this module.
"""

import ctypes
import sys
import time
from collections.abc import Sequence
from typing import Any

import triton_python_backend_utils as pb_utils

from video.decoder import Decoder
from video.errors import Reason, RequestOutcome
from video.isolation import End
from video.request_record import RequestRecord

SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0]
"""Upper bounds of the histogram's buckets: from a file refused at once to the decoder's timeout."""
NO_REASON = "none"
NO_DECODER = "none"
"""The label `decoder` of a model that decodes no clips."""


class Metrics:
    """Counts requests by outcome.

    If Triton refuses these metrics, that is logged once, and the server serves without them.
    """

    def __init__(self, model: str, decoders: Sequence[Decoder] = ()) -> None:
        """`model`: the value of the label `model`; `decoders`: what it can decode clips with, the last resort last."""
        self._model = model
        self._decoders = [str(decoder) for decoder in decoders] or [NO_DECODER]
        self._works = True
        self._attempt("created", self._create)

    def count(self, record: RequestRecord) -> None:
        """Count one request."""
        if self._works:
            self._attempt("updated", lambda: self._count(record))

    def _attempt(self, what: str, action: Any) -> None:
        try:
            action()
        except Exception as error:
            self._works = False
            print(f"{self._model}: its metrics cannot be {what}: {error}", file=sys.stderr, flush=True)

    def _create(self) -> None:
        # Every series exists from the start, at zero: rate() misses the first event of a series that appears with it.
        kinds = pb_utils.MetricFamily
        results = [(RequestOutcome.OK, NO_REASON), *((reason.outcome, reason) for reason in Reason)]
        videos = _family("videos_total", "Videos that a model processed.", kinds.COUNTER)
        seconds = _family("seconds", "Seconds that a model took per video.", kinds.HISTOGRAM)
        self._videos, self._seconds = {}, {}
        for decoder in self._decoders:
            for outcome, reason in results:
                labels = {"outcome": str(outcome), "reason": str(reason), "decoder": decoder}
                self._videos[reason, decoder] = self._metric(videos, None, **labels)
            for outcome in RequestOutcome:
                labels = {"outcome": str(outcome), "decoder": decoder}
                self._seconds[outcome, decoder] = self._metric(seconds, SECONDS, **labels)
        received = _family("received_bytes_total", "Bytes of encoded videos.", kinds.COUNTER)
        self._received_bytes = self._metric(received)
        wanted = _family("frames_wanted_total", "Distinct frames in the clips.", kinds.COUNTER)
        self._frames_wanted = self._metric(wanted)
        decoded = _family("frames_decoded_total", "Frames decoded to get the wanted ones.", kinds.COUNTER)
        self._frames_decoded = self._metric(decoded)
        clips = _family("clips_total", "Clips cut from videos.", kinds.COUNTER)
        self._clips = {kind: self._metric(clips, kind=kind) for kind in ("motion", "camera")}
        if self._decoders != [NO_DECODER]:
            failures = _family("nvdec_failures_total", "Videos that FFmpeg got after NVDEC failed.", kinds.COUNTER)
            self._nvdec_failures = self._metric(failures)
        restarts = _family("worker_restarts_total", "Restarts of decoder processes.", kinds.COUNTER)
        self._restarts = {end: self._metric(restarts, cause=str(end)) for end in End}
        started = _family("model_start_time_seconds", "Unix time at which the model was last loaded.", kinds.GAUGE)
        self._metric(started).set(time.time())

    def _metric(self, family: Any, buckets: list[float] | None = None, **labels: str) -> Any:
        labels = {"model": self._model, **labels}
        return family.Metric(labels=labels) if buckets is None else family.Metric(labels=labels, buckets=buckets)

    def _count(self, record: RequestRecord) -> None:
        if record.video_bytes is None:
            return
        decoder = record.decoder if record.decoder in self._decoders else self._decoders[-1]
        self._videos[record.reason or NO_REASON, decoder].increment(1)
        self._seconds[record.outcome, decoder].observe(record.seconds)
        if record.nvdec_error is not None:
            self._nvdec_failures.increment(1)
        self._received_bytes.increment(record.video_bytes)
        for counter, count in (
            (self._frames_wanted, record.frames_wanted),
            (self._frames_decoded, record.frames_decoded),
            (self._clips["motion"], record.motion_clips),
            (self._clips["camera"], record.camera_clips),
            *((self._restarts[end], count) for end, count in record.restarts.items()),
        ):
            if count:
                counter.increment(count)


def _family(name: str, description: str, kind: Any) -> Any:
    family = pb_utils.MetricFamily(name=f"video_motion_{name}", description=description, kind=kind)
    # Never deleted: all processes of a model count in the same series, and Triton would remove it for all of them when
    # the first one ends (triton-inference-server/server issue 8663). So the counts survive restarts.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(family))
    return family
