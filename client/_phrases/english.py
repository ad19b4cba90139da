"""The words of `video_motion.phrases` in English. Another language is another `Language`."""

from .language import Language

ENGLISH = Language(
    moves={
        "arc_left": ("arcs", "left around the subject"),
        "arc_right": ("arcs", "right around the subject"),
        "dolly_in": ("moves", "forward"),
        "dolly_out": ("moves", "back"),
        "pan_left": ("pans", "left"),
        "pan_right": ("pans", "right"),
        "pedestal_down": ("moves", "down"),
        "pedestal_up": ("moves", "up"),
        "roll_left": ("rolls", "counter-clockwise"),
        "roll_right": ("rolls", "clockwise"),
        "shake": ("shakes", ""),
        "static": ("stays", "still"),
        "tilt_down": ("tilts", "down"),
        "tilt_up": ("tilts", "up"),
        "track": ("follows", "the subject"),
        "truck_left": ("moves", "left"),
        "truck_right": ("moves", "right"),
        "zoom_in": ("zooms", "in"),
        "zoom_out": ("zooms", "out"),
    },
    camera="the camera {stages}",
    then=", then {stage}",
    many="the camera moves in several ways: it {stages}",
    pauses="the camera {move}, with pauses",
    point_of_view="the shot shows what a person in the scene sees",
    subject={
        "none": "the subject hardly moves",
        "low": "the subject moves a little",
        "medium": "the subject moves",
        "high": "the subject moves strongly",
    },
    changes="the light, colour or focus changes strongly",
    and_word="and",
    clause_separator="; ",
    camera_motion="camera motion: {labels}",
    motion_strength="motion strength: {strength}",
)
