"""Frames to 224 x 224, against PyTorch and Pillow."""

import numpy as np
import pytest
import torch
from PIL import Image

from fixtures.synthetic import picture
from video.resize import crop, stretch

SIZES = [(640, 272), (176, 144), (427, 241), (8, 8), (224, 224), (1920, 1080), (90, 400), (1, 1)]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_stretch_is_bilinear_with_half_pixel_centres_and_no_antialiasing(width: int, height: int) -> None:
    frame = picture(3, width, height)
    tensor = torch.from_numpy(frame).permute(2, 0, 1)[None].float()
    expected = torch.nn.functional.interpolate(tensor, size=(224, 224), mode="bilinear", align_corners=False)
    difference = np.abs(stretch(frame) - expected[0].permute(1, 2, 0).numpy())
    assert difference.max() <= 0.51  # rounding, and nothing else


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_crop_is_the_centre_of_the_frame_resized_by_its_shorter_side(width: int, height: int) -> None:
    frame = picture(3, width, height)
    scale = 256 / min(width, height)
    size = (256, int(height * scale + 1e-9)) if width < height else (int(width * scale + 1e-9), 256)
    whole = np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR))
    top, left = (size[1] - 224) // 2, (size[0] - 224) // 2
    cropped = crop(frame, 256)
    assert cropped.shape == (224, 224, 3)
    difference = np.abs(cropped.astype(int) - whole[top : top + 224, left : left + 224])
    assert difference.max() <= 1
    assert difference.mean() < 0.05
