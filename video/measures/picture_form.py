"""The size of the pictures that are measured, for programs without OpenCV."""

HEIGHT, WIDTH = 320, 240
"""Of a resized frame, whatever its shape was."""
SIDE = 240
"""Of the square in its centre."""
PICTURE_BYTES = SIDE * SIDE * 3
"""Of a square, RGB uint8."""
