"""How a checkpoint of an image encoder wants its frames, from its `preprocessor_config.json`.

transformers' own image processors read the file, so that their defaults and older forms of it hold. Resizing and
cropping are the decoder's work (`video.frame_form`) and go into `weights.json`; scaling and normalisation become part
of the graph.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from transformers import AutoImageProcessor

from export.checkpoint import read_json
from export.errors import ExportError, SourceUnavailable

RESAMPLE = {2: "bilinear", 3: "bicubic"}
"""The filters of Pillow by their number; both decoders have these two."""
PROCESSORS = {"CLIP", "Siglip", "Bit", "ViT", "ConvNext"}
"""The processors of the supported encoders: what they do is resizing, cropping, scaling and normalisation."""
FULL_SIZE = 384
"""From this size on, the processor of ConvNext and ResNet stretches a frame; below, it crops."""

Size = tuple[int, int]
"""Height and width in pixels."""


@dataclass(frozen=True)
class Preprocessing:
    """From a decoded frame to the input of an encoder: resize, crop, scale, normalise."""

    resize: int | Size
    """Pixels of the shorter side, or height and width to which a frame is stretched."""
    resample: str
    """`bilinear` or `bicubic`, antialiased as in Pillow."""
    crop: Size | None
    """Height and width of the centre crop."""
    scale: float
    """What a value from 0 to 255 is multiplied by."""
    mean: list[float]
    """Subtracted after scaling: red, green, blue."""
    std: list[float]
    """Divided by after that."""

    @property
    def frame_size(self) -> Size:
        """Height and width of a prepared frame."""
        if self.crop is not None:
            return self.crop
        assert not isinstance(self.resize, int)
        return self.resize

    def content(self) -> dict[str, Any]:
        """What a decoder has to do, as a JSON object."""
        if isinstance(self.resize, int):
            resize = {"shortest_edge": self.resize}
        else:
            resize = {"height": self.resize[0], "width": self.resize[1]}
        crop = None if self.crop is None else {"height": self.crop[0], "width": self.crop[1]}
        return {"resize": resize, "resample": self.resample, "antialias": True, "crop": crop}


def read_preprocessing(directory: Path, what: str) -> Preprocessing:
    """Read `preprocessor_config.json`; `ExportError` begins with `what` and names the key that is not supported."""
    read_json(directory / "preprocessor_config.json")  # for its messages
    try:
        processor: Any = AutoImageProcessor.from_pretrained(
            directory, backend="pil", local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # transformers raises many kinds
        reason = str(error).strip().partition("\n")[0]
        raise SourceUnavailable(f"{what}: transformers cannot read preprocessor_config.json: {reason}") from error
    name = type(processor).__name__.removesuffix("Pil").removesuffix("ImageProcessor")
    if name not in PROCESSORS:
        supported = ", ".join(sorted(PROCESSORS))
        raise ExportError(f"{what}: the image processor is {name}ImageProcessor; supported are those of {supported}")
    return _of(processor, what)


def _of(processor: Any, what: str) -> Preprocessing:
    def refuse(key: str, expected: str) -> NoReturn:
        found = getattr(processor, key, None)
        raise ExportError(f"{what}: preprocessor_config.json has {key} {found}, not {expected}")

    if not processor.do_resize:
        refuse("do_resize", "True: frames of all sizes become one size")
    if processor.resample not in RESAMPLE:
        refuse("resample", " or ".join(f"{number} ({name})" for number, name in RESAMPLE.items()))
    crop: Size | None = None
    if processor.do_center_crop:
        if processor.crop_size is None:
            refuse("crop_size", "height and width")
        crop = (processor.crop_size.height, processor.crop_size.width)
    size, edge = processor.size, processor.size.shortest_edge
    resize: int | Size
    if size.height and size.width:
        resize = (size.height, size.width)
    elif not edge or size.longest_edge:
        refuse("size", "height and width, or shortest_edge")
    elif not hasattr(processor, "crop_pct"):
        resize = edge
    elif crop is not None:
        refuse("do_center_crop", "False: this processor crops by crop_pct")
    elif edge < FULL_SIZE:
        resize, crop = int(edge / processor.crop_pct), (edge, edge)
    else:
        resize = (edge, edge)
    if isinstance(resize, int) and crop is None:
        refuse("do_center_crop", "True: frames would differ in size")
    smallest = (resize, resize) if isinstance(resize, int) else resize
    if crop is not None and (crop[0] > smallest[0] or crop[1] > smallest[1]):
        refuse("crop_size", f"at most {smallest[0]} x {smallest[1]}, the size of a resized frame")
    scale = float(processor.rescale_factor) if processor.do_rescale else 1.0
    mean, std = [0.0] * 3, [1.0] * 3
    if processor.do_normalize:
        mean, std = _channels(processor.image_mean), _channels(processor.image_std)
        if len(mean) != 3:
            refuse("image_mean", "three numbers")
        if len(std) != 3 or not all(std):
            refuse("image_std", "three numbers other than 0")
    return Preprocessing(resize, RESAMPLE[int(processor.resample)], crop, scale, mean, std)


def _channels(value: Any) -> list[float]:
    return [float(value)] * 3 if isinstance(value, int | float) else [float(each) for each in value or ()]
