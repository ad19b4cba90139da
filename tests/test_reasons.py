"""The reason why a video is refused, as in metrics and logs."""

import ast
from io import BytesIO
from pathlib import Path

import pytest

from fixtures.synthetic import encode
from tests.test_bad_input import BAD
from video import InvalidVideo
from video.container import open_video, read_frame_table
from video.errors import Reason
from video.limits import Limits

ROOT = Path(__file__).parent.parent
REASONS = {
    "empty": Reason.EMPTY,
    "text": Reason.NOT_A_VIDEO,
    "random bytes": Reason.NOT_A_VIDEO,
    "moov missing": Reason.TRUNCATED,
    "cut in half": Reason.TRUNCATED,
    "cut in half, index first": Reason.TRUNCATED,
    "index points beyond the end": Reason.DAMAGED,
    "mkv cut in half": Reason.TRUNCATED,
    "audio only": Reason.NO_VIDEO_STREAM,
    "png": Reason.NOT_A_VIDEO,
    "jpeg": Reason.NOT_A_VIDEO,
    "zero-length video stream": Reason.NO_FRAMES,
    "unsupported codec": Reason.UNSUPPORTED_CODEC,
    "unsupported container": Reason.NOT_A_VIDEO,
}


def reason_of(content: bytes, limits: Limits = Limits()) -> Reason:  # noqa: B008, it is frozen
    video = BytesIO(content)
    with pytest.raises(InvalidVideo) as raised, open_video(video, limits) as (container, stream):
        read_frame_table(container, stream, limits)
    return raised.value.reason


@pytest.mark.parametrize("name", REASONS)
def test_a_bad_file_has_its_reason(name: str) -> None:
    make, _ = BAD[name]
    assert reason_of(make()) is REASONS[name]


@pytest.mark.parametrize("limits", [Limits(max_pixels=100), Limits(max_frames=10)])
def test_what_is_beyond_a_limit_is_too_large(limits: Limits) -> None:
    assert reason_of(encode(30), limits) is Reason.TOO_LARGE


def test_nothing_is_refused_without_a_reason() -> None:
    for path in [*ROOT.glob("video/*.py"), *ROOT.glob("model_repository/*/1/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "InvalidVideo":
                assert len(node.args) == 2, f"{path.name}, line {node.lineno}"
