"""The shape of a clip, the same for both networks; "segment" and "clip" mean the same 16 frames."""

CLIP_FRAMES = 16
"""Frames of a clip."""
FRAME_SIZE = 224
"""Height and width of a frame in pixels."""
CLIP_SHAPE = (CLIP_FRAMES, FRAME_SIZE, FRAME_SIZE, 3)
"""Of a clip as it travels: RGB uint8."""
FRAME_BYTES = FRAME_SIZE * FRAME_SIZE * 3
"""Bytes of an RGB uint8 frame."""
