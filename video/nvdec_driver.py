"""`python -m video.nvdec_driver`: asks NVIDIA's driver what NVDEC reads on each GPU, and prints that as JSON.

By `cuvidGetDecoderCaps` of the driver's library `libnvcuvid`, whose header is `cuviddec.h` of the Video Codec SDK. This
has not run on a GPU yet.
"""

import ctypes
import json
from itertools import product
from typing import Any

CODECS = {"mpeg4": 2, "h264": 4, "mjpeg": 5, "hevc": 8, "vp8": 9, "vp9": 10, "av1": 11}
"""`cudaVideoCodec`."""
CHROMAS = {"4:0:0": 0, "4:2:0": 1, "4:2:2": 2, "4:4:4": 3}
"""`cudaVideoChromaFormat`."""
BIT_DEPTHS = (8, 10, 12)
NV12 = 1 << 0
"""`cudaVideoSurfaceFormat_NV12` in a mask of output formats."""
COMPUTE_CAPABILITY_MAJOR, COMPUTE_CAPABILITY_MINOR = 75, 76
"""`CUdevice_attribute`."""
CUDA, NVCUVID = "libcuda.so.1", "libnvcuvid.so.1"


class DecodeCaps(ctypes.Structure):
    """`CUVIDDECODECAPS`, 88 bytes: a format, and what the driver says of it."""

    _fields_ = (
        ("codec", ctypes.c_int),
        ("chroma", ctypes.c_int),
        ("bit_depth_minus_8", ctypes.c_uint),
        ("reserved1", ctypes.c_uint * 3),
        ("is_supported", ctypes.c_ubyte),
        ("engines", ctypes.c_ubyte),
        ("output_formats", ctypes.c_ushort),
        ("max_width", ctypes.c_uint),
        ("max_height", ctypes.c_uint),
        ("max_macroblocks", ctypes.c_uint),
        ("min_width", ctypes.c_ushort),
        ("min_height", ctypes.c_ushort),
        ("has_histogram", ctypes.c_ubyte),
        ("counter_bit_depth", ctypes.c_ubyte),
        ("max_histogram_bins", ctypes.c_ushort),
        ("reserved3", ctypes.c_uint * 10),
    )


class DriverError(Exception):
    """A call of the driver failed; the message says which."""


def answer(cuda: Any, nvcuvid: Any) -> dict[str, Any]:
    """What each GPU reads; `cuda` and `nvcuvid` are the driver's libraries.

    `gpus` has for each its compute capability, and `formats` or the `error` why they are not known. `error` alone says
    why no GPU was found.
    """
    try:
        _call(cuda, "cuInit", 0)
        count = ctypes.c_int()
        _call(cuda, "cuDeviceGetCount", ctypes.byref(count))
        if not count.value:
            return {"error": "the driver sees no GPU"}
        return {"gpus": [_gpu(cuda, nvcuvid, number) for number in range(count.value)]}
    except DriverError as error:
        return {"error": str(error)}


def _gpu(cuda: Any, nvcuvid: Any, number: int) -> dict[str, Any]:
    device, context = ctypes.c_int(), ctypes.c_void_p()
    _call(cuda, "cuDeviceGet", ctypes.byref(device), number)
    capability = []
    for attribute in (COMPUTE_CAPABILITY_MAJOR, COMPUTE_CAPABILITY_MINOR):
        value = ctypes.c_int()
        _call(cuda, "cuDeviceGetAttribute", ctypes.byref(value), attribute, device)
        capability.append(value.value)
    found: dict[str, Any] = {"compute_capability": capability}
    try:
        _call(cuda, "cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        _call(cuda, "cuCtxSetCurrent", context)
        found["formats"] = _formats(nvcuvid)
    except DriverError as error:
        found["error"] = str(error)
    return found


def _formats(nvcuvid: Any) -> list[dict[str, Any]]:
    """The formats that the GPU of the current context reads and returns as NV12.

    A driver may reject a question about a format that it does not know; only if it rejects all, that is an error.
    """
    formats, answers, failure = [], 0, DriverError()
    for codec, chroma, bit_depth in product(CODECS, CHROMAS, BIT_DEPTHS):
        caps = DecodeCaps(codec=CODECS[codec], chroma=CHROMAS[chroma], bit_depth_minus_8=bit_depth - 8)
        try:
            _call(nvcuvid, "cuvidGetDecoderCaps", ctypes.byref(caps))
        except DriverError as error:
            failure = error
            continue
        answers += 1
        if caps.is_supported and caps.output_formats & NV12:
            sizes = [caps.min_width, caps.min_height, caps.max_width, caps.max_height, caps.max_macroblocks]
            formats.append({"format": [codec, chroma, bit_depth], "sizes": sizes})
    if not answers:
        raise failure
    return formats


def _call(library: Any, name: str, *arguments: object) -> None:
    try:
        function = getattr(library, name)
    except AttributeError:
        raise DriverError(f"the driver has no {name}") from None
    if status := function(*arguments):
        raise DriverError(f"{name} failed with CUDA error {status}")


def main() -> None:
    """Print the answer for this machine."""
    try:
        libraries = [ctypes.CDLL(name) for name in (CUDA, NVCUVID)]
    except OSError as error:
        hint = "in a container, NVIDIA_DRIVER_CAPABILITIES must have compute and video"
        print(json.dumps({"error": f"the driver's library cannot be loaded ({error}; {hint})"}))
        return
    print(json.dumps(answer(*libraries)))


if __name__ == "__main__":
    main()
