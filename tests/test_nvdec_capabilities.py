"""What NVDEC reads, with stand-ins for the driver: nothing of this has run on a GPU."""

import ctypes
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from video import nvdec_capabilities, nvdec_driver
from video.nvdec_capabilities import (
    UP_TO_4096,
    UP_TO_8192,
    Capabilities,
    Sizes,
    VideoFormat,
    ask_driver,
    capabilities,
    formats_of,
    of_answer,
)
from video.nvdec_driver import CHROMAS, CODECS, DecodeCaps

INVALID_VALUE, NO_DEVICE = 1, 100
NV12, P016, YUV444 = 1 << 0, 1 << 1, 1 << 2


class Cuda:
    """Stands for libcuda: so many GPUs of one compute capability."""

    def __init__(self, capability: tuple[int, int] = (9, 0), gpus: int = 1, context: int = 0) -> None:
        self.capability, self.gpus, self.context = capability, gpus, context

    def cuInit(self, _: int) -> int:
        return 0 if self.gpus else NO_DEVICE

    def cuDeviceGetCount(self, count: Any) -> int:
        count._obj.value = self.gpus
        return 0

    def cuDeviceGet(self, device: Any, number: int) -> int:
        device._obj.value = number
        return 0

    def cuDeviceGetAttribute(self, value: Any, attribute: int, _: ctypes.c_int) -> int:
        value._obj.value = self.capability[attribute - 75]
        return 0

    def cuDevicePrimaryCtxRetain(self, *_: Any) -> int:
        return self.context

    def cuCtxSetCurrent(self, _: Any) -> int:
        return 0


class Nvcuvid:
    """Stands for libnvcuvid: answers from a table by codec, chroma and bits."""

    def __init__(self, reads: dict[tuple[str, str, int], int], status: int = 0) -> None:
        self.reads, self.status = reads, status

    def cuvidGetDecoderCaps(self, asked: Any) -> int:
        caps: DecodeCaps = asked._obj
        codec, chroma = (
            next(name for name, number in names.items() if number == value)
            for names, value in ((CODECS, caps.codec), (CHROMAS, caps.chroma))
        )
        if codec == "mjpeg" and caps.bit_depth_minus_8:
            return INVALID_VALUE  # a driver may not know a format at all
        formats = self.reads.get((codec, chroma, 8 + caps.bit_depth_minus_8), 0)
        caps.is_supported, caps.output_formats = int(bool(formats)), formats
        caps.min_width, caps.min_height, caps.max_width, caps.max_height = 48, 16, 4096, 2304
        caps.max_macroblocks = 4096 * 2304 // 256
        return self.status


HOPPER = {
    ("h264", "4:2:0", 8): NV12,
    ("hevc", "4:2:0", 8): NV12,
    ("hevc", "4:2:0", 10): NV12 | P016,
    ("hevc", "4:4:4", 8): YUV444,
    ("mjpeg", "4:2:0", 8): NV12,
}


def test_the_structure_has_the_size_and_the_offsets_of_the_drivers() -> None:
    assert ctypes.sizeof(DecodeCaps) == 88
    offsets = {name: getattr(DecodeCaps, name).offset for name, _ in DecodeCaps._fields_}
    assert (offsets["is_supported"], offsets["output_formats"], offsets["max_width"]) == (24, 26, 28)
    assert (offsets["max_macroblocks"], offsets["min_width"], offsets["reserved3"]) == (36, 40, 48)


def test_the_driver_is_asked_for_every_format_that_it_returns_as_nv12() -> None:
    found = of_answer(json.loads(json.dumps(nvdec_driver.answer(Cuda(), Nvcuvid(HOPPER)))))
    sizes = Sizes(48, 16, 4096, 2304, 36864)
    assert found.formats == {VideoFormat(*name): sizes for name in HOPPER if name[1] == "4:2:0"}
    assert found.source == "says the driver"
    assert str(found).startswith("NVDEC reads h264 4:2:0 of 8 bits up to 4096 x 2304, ")


@pytest.mark.parametrize(
    ("cuda", "nvcuvid", "why"),
    [
        (Cuda((8, 9)), Nvcuvid({}, status=3), "cuvidGetDecoderCaps failed with CUDA error 3"),
        (Cuda((8, 9)), object(), "the driver has no cuvidGetDecoderCaps"),
        (Cuda((8, 9), context=2), Nvcuvid(HOPPER), "cuDevicePrimaryCtxRetain failed with CUDA error 2"),
    ],
    ids=["fails", "too old", "no memory"],
)
def test_if_the_driver_does_not_tell_the_table_does(cuda: Cuda, nvcuvid: object, why: str) -> None:
    found = of_answer(nvdec_driver.answer(cuda, nvcuvid))
    assert found.formats == formats_of((8, 9))
    assert found.source == f"by compute capability 8.9, because {why}"


def test_without_a_gpu_nothing_is_read() -> None:
    found = of_answer(nvdec_driver.answer(Cuda(gpus=0), Nvcuvid(HOPPER)))
    assert found == Capabilities(source="cuInit failed with CUDA error 100")
    why = "NVDEC reads nothing: cuInit failed with CUDA error 100"
    assert (str(found), found.why_not("h264", "High", "yuv420p", 1920, 1080)) == (why, why)


def test_only_what_every_gpu_reads_counts() -> None:
    less = {name: formats for name, formats in HOPPER.items() if name[0] != "hevc"}
    first, second = (nvdec_driver.answer(Cuda(), Nvcuvid(reads))["gpus"][0] for reads in (HOPPER, less))
    second["formats"][0]["sizes"] = [64, 64, 8192, 1024, 9_000]
    found = of_answer({"gpus": [first, second]})
    assert [*found.formats] == [VideoFormat("h264"), VideoFormat("mjpeg")]
    assert found.formats[VideoFormat("h264")] == (64, 64, 4096, 1024, 9_000)


@pytest.mark.parametrize(
    ("capability", "av1", "h264_10"),
    [
        ((7, 5), False, False),
        ((8, 0), False, False),
        ((8, 6), True, False),
        ((8, 9), True, False),
        ((9, 0), False, False),
        ((10, 0), True, True),
        ((12, 0), True, True),
    ],
)
def test_the_table_has_what_differs_between_architectures(
    capability: tuple[int, int], av1: bool, h264_10: bool
) -> None:
    formats = formats_of(capability)
    assert (VideoFormat("av1") in formats, VideoFormat("h264", bit_depth=10) in formats) == (av1, h264_10)
    assert formats[VideoFormat("hevc", bit_depth=10)] == UP_TO_8192
    assert formats[VideoFormat("h264")] == (UP_TO_8192 if h264_10 else UP_TO_4096)
    assert {name.chroma for name in formats} == {"4:2:0"}
    assert VideoFormat("mjpeg") not in formats


def test_an_architecture_before_the_table_reads_nothing() -> None:
    assert formats_of((6, 1)) == {}


TURING = Capabilities(formats_of((9, 0)), "test")


@pytest.mark.parametrize(
    ("decoder", "profile", "pixel_format", "width", "height", "why"),
    [
        ("h264", "High", "yuv420p", 1920, 1080, None),
        ("h264", "Constrained Baseline", "yuvj420p", 4096, 4096, None),
        ("hevc", "Main 10", "yuv420p10le", 8192, 4320, None),
        ("vp9", None, "yuv420p", 1280, 720, None),
        ("mpeg4", "Simple Profile", "yuv420p", 640, 360, None),
        ("libdav1d", "Main", "yuv420p", 1280, 720, "NVDEC does not read av1 4:2:0 of 8 bits"),
        ("av1", "Main", "yuv420p10le", 1280, 720, "NVDEC does not read av1 4:2:0 of 10 bits"),
        ("h264", "High 10", "yuv420p10le", 640, 360, "NVDEC does not read h264 4:2:0 of 10 bits"),
        ("h264", "High 4:2:2", "yuv422p", 640, 360, "NVDEC does not read h264 4:2:2 of 8 bits"),
        (
            *("h264", "High 4:4:4 Predictive", "yuv420p", 640, 360),  # lossless
            "NVDEC does not read h264 of the profile High 4:4:4 Predictive",
        ),
        ("h264", None, "yuv420p", 640, 360, "NVDEC does not read h264 of the profile None"),
        ("mpeg4", "Studio Profile", "yuv420p", 640, 360, "NVDEC does not read mpeg4 of the profile Studio Profile"),
        ("vp9", "Profile 0", "yuva420p", 640, 360, "NVDEC does not read vp9 in yuva420p"),
        ("vp9", "Profile 0", None, 640, 360, "NVDEC does not read vp9 in None"),
        ("prores", "HQ", "yuv422p10le", 640, 360, "NVDEC does not read prores 4:2:2 of 10 bits"),
        (
            *("h264", "High", "yuv420p", 4098, 2160),
            "NVDEC reads h264 4:2:0 of 8 bits of at most 4096 x 4096, these frames have 4098 x 2160",
        ),
        (
            *("hevc", "Main", "yuv420p", 96, 1080),
            "NVDEC reads hevc 4:2:0 of 8 bits of at least 144 x 144, these frames have 96 x 1080",
        ),
    ],
)
def test_a_video_is_read_or_the_reason_is_said(
    decoder: str, profile: str | None, pixel_format: str | None, width: int, height: int, why: str | None
) -> None:
    assert TURING.why_not(decoder, profile, pixel_format, width, height) == why


def test_macroblocks_are_counted_whole() -> None:
    sizes = Sizes(max_macroblocks=100 * 100)
    assert sizes.why_not(1600, 1600) is None
    assert sizes.why_not(1600, 1601) == "of at most 10000 macroblocks"


def test_the_parameter_lists_formats_asks_or_leaves_nothing() -> None:
    listed = capabilities("vp9, hevc/10,mjpeg")
    assert [*listed.formats] == [VideoFormat("vp9"), VideoFormat("hevc", bit_depth=10), VideoFormat("mjpeg")]
    assert listed.why_not("vp9", None, "yuv420p", 64, 48) is None
    assert capabilities(" auto ", lambda: TURING) is TURING
    assert capabilities(None).why_not("h264", "High", "yuv420p", 640, 360) == (
        "NVDEC reads nothing: this profile has no GPU"
    )
    assert capabilities("").formats == {}


@pytest.mark.parametrize("wrong", ["h265", "hevc/11", "h264;hevc", "driver"])
def test_a_format_that_is_none_is_named(wrong: str) -> None:
    with pytest.raises(ValueError, match=f"NVDEC_READS has '{wrong}', it must be auto or list h264, hevc, "):
        capabilities(f"h264,{wrong}")


def test_on_this_machine_the_answer_says_why_if_it_has_no_gpu() -> None:
    """The real process: it ends well whatever the machine has."""
    found = ask_driver()
    assert found.formats or "the driver's library cannot be loaded" in found.source or "CUDA error" in found.source


def fails(script: str) -> Callable[..., Any]:
    run = subprocess.run

    def instead(command: list[str], **options: Any) -> Any:
        return run([sys.executable, "-c", script], **options | {"timeout": min(1.0, options["timeout"])})

    return instead


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("raise RuntimeError('no')", "asking the driver failed with status 1: RuntimeError: no"),
        ("import os; os.abort()", "asking the driver failed with status -6: no reason given"),
        ("import time; time.sleep(60)", "the driver did not answer within 60 s"),
    ],
)
def test_a_driver_that_fails_or_hangs_leaves_nothing_to_read(
    script: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nvdec_capabilities.subprocess, "run", fails(script))
    assert ask_driver() == Capabilities(source=why)
