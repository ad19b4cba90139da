"""The adapters of docs/examples for Data-Juicer and NeMo Curator, with stand-ins for both packages.

Neither package is a dependency of this project. The stand-ins have what the adapters use.
"""

import runpy
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Generic, TypeVar

import pytest

import client
from fixtures.fake_server import content, fake_server

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"
In = TypeVar("In")
Out = TypeVar("Out")


class Registry:
    """Data-Juicer's registry of operators."""

    def __init__(self) -> None:
        self.modules: dict[str, type] = {}

    def register_module(self, name: str) -> Any:
        return lambda operator: self.modules.setdefault(name, operator)


class Mapper:
    """Data-Juicer's base class."""

    def __init__(self, video_key: str = "videos") -> None:
        self.video_key = video_key


class ProcessingStage(Generic[In, Out]):
    """NeMo Curator's base class."""


class Resources(SimpleNamespace):
    """NeMo Curator's resources."""


def install(monkeypatch: pytest.MonkeyPatch, name: str, **content: Any) -> None:
    """A stand-in for a module, and for the packages around it."""
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        module = sys.modules.get(".".join(parts[:end])) or ModuleType(".".join(parts[:end]))
        monkeypatch.setitem(sys.modules, module.__name__, module)
    for key, value in content.items():
        setattr(sys.modules[name], key, value)


def test_the_data_juicer_operator_scores_the_videos_of_a_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    operators = Registry()
    install(monkeypatch, "data_juicer.ops.base_op", OPERATORS=operators, Mapper=Mapper)
    monkeypatch.setitem(sys.modules, "video_motion", client)
    runpy.run_path(str(EXAMPLES / "data_juicer_mapper.py"))
    (tmp_path / "a.mp4").write_bytes(content(5))
    (tmp_path / "b.mp4").write_bytes(b"broken")
    with fake_server(tmp_path / "notes") as server:
        operator = operators.modules["video_motion_mapper"](urls=[server.url], video_key="clips")
        sample = operator.process_single({"text": "x", "clips": [str(tmp_path / "a.mp4"), str(tmp_path / "b.mp4")]})
        nothing = operator.process_single({"text": "y"})
    good, bad = sample["video_motion"]
    names = ("camera_movement_score", "object_movement_score", "dynamics_score")
    assert good == dict(zip(names, (5.0, 1.0, 1.5), strict=True)) | {"error": None}
    assert bad == dict.fromkeys(names) | {"error": "the file is not a video"}
    assert (sample["text"], nothing["video_motion"]) == ("x", [])


def test_the_nemo_curator_stage_scores_the_clips_of_a_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "nemo_curator.stages.base", ProcessingStage=ProcessingStage)
    install(monkeypatch, "nemo_curator.stages.resources", Resources=Resources)
    install(monkeypatch, "nemo_curator.tasks.video", VideoTask=SimpleNamespace)
    monkeypatch.setitem(sys.modules, "video_motion", client)
    stage_of = runpy.run_path(str(EXAMPLES / "nemo_curator_stage.py"))["VideoMotionStage"]
    clips = [SimpleNamespace(buffer=data, errors={}) for data in (content(7), b"broken", None)]
    task = SimpleNamespace(data=SimpleNamespace(clips=clips))
    with fake_server(tmp_path / "notes") as server:
        stage = stage_of(urls=(server.url,))
        stage.setup()
        assert stage.process(task) is task
    assert (stage.name, stage.inputs(), stage.outputs()) == ("video_motion", (["data"], []), (["data"], []))
    assert clips[0].motion_scores["camera_movement_score"] == 7.0
    assert [clip.errors for clip in clips] == [
        {},
        {"video_motion": "the file is not a video"},
        {"video_motion": "the clip is not encoded"},
    ]
    assert not hasattr(clips[1], "motion_scores")
