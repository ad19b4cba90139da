"""The encoder of an autoencoder: as diffusers computes it, and what an export does with it."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from export import ExportError, SourceUnavailable
from export.__main__ import main
from export.autoencoder_network import load_autoencoder
from export.exporter import Exporter
from export.networks import export_networks
from export.random_autoencoder import TENSORS, WIDTHS, encoder_shapes, write_autoencoder_checkpoint
from export.source import AUTOENCODER_REPOSITORY, open_source
from fixtures.autoencoders import REFERENCE, every_fifth, latents_with_diffusers, noisy_pictures, write_small
from server.load import NotLoaded, RunningServer, change, optional_networks
from server.preflight import problems
from tests.conftest import MODEL_REPOSITORY
from tests.tensorrt_machine import Machine
from video.measures.latents import LATENT_NAMES
from video.measures.measures import NAMES
from video.weights import described

FORMS = ("model.onnx", "model_fp16.onnx", "model.plan", "model.plan.json")
CONFIGS = ("config.pbtxt", "configs/cpu.pbtxt", "configs/tensorrt.pbtxt")


@pytest.fixture(scope="module")
def autoencoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint."""
    return write_small(tmp_path_factory.mktemp("autoencoder") / "small")


@pytest.fixture
def repository(tiny_repository: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_repository, tmp_path / "model_repository"))


@pytest.fixture
def without_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports that write small files instead of graphs, which take seconds."""

    def write(self: Exporter, network: object, model: str, *_: object, **__: object) -> None:
        self._transaction.stage_text(f"{model}/1/model.onnx", type(network).__name__)

    monkeypatch.setattr(Exporter, "write", write)


def assert_close(found: NDArray[np.float32], expected: NDArray[np.float32], tolerance: float = 1e-3) -> None:
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < tolerance * np.abs(expected).max()


def latents_of(directory: Path, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    with torch.inference_mode():
        return load_autoencoder(directory).network(torch.from_numpy(pictures)).numpy()


def test_latents_are_those_that_diffusers_own_encoder_gave(autoencoder: Path) -> None:
    expected = np.load(REFERENCE)
    assert_close(every_fifth(latents_of(autoencoder, noisy_pictures())), expected)
    # The comparison sees other channels and other pictures.
    pictures = noisy_pictures()
    for other in (pictures[..., ::-1].copy(), pictures[::-1].copy()):
        found = every_fifth(latents_of(autoencoder, other))
        assert np.abs(found - expected).max() > 0.01 * np.abs(expected).max()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("widths", "layers", "groups", "latents"), [((4, 8, 8, 8), 1, 2, 2), ((8, 16), 2, 4, 4), ((8, 8, 16), 3, 8, 3)]
)
def test_latents_are_those_of_diffusers_own_encoder(
    widths: tuple[int, ...], layers: int, groups: int, latents: int, tmp_path: Path
) -> None:
    write_autoencoder_checkpoint(tmp_path, 3, widths=widths, layers=layers, groups=groups, latents=latents)
    expected = latents_with_diffusers(tmp_path, noisy_pictures())
    assert_close(latents_of(tmp_path, noisy_pictures()), expected)
    assert expected.shape[1:] == load_autoencoder(tmp_path).shape


@pytest.mark.slow
def test_the_figures_of_diffusers_are_those_of_this_one(autoencoder: Path) -> None:
    found = every_fifth(latents_with_diffusers(autoencoder, noisy_pictures()))
    np.testing.assert_allclose(found, np.load(REFERENCE), rtol=1e-4, atol=1e-5)


def rewritten(directory: Path, target: Path, change: Any, **config: Any) -> Path:
    """A copy of a checkpoint whose tensors were changed, and whose `config.json` has other values."""
    shutil.copytree(directory, target)
    save_file(change(load_file(directory / TENSORS)), target / TENSORS, {"format": "pt"})
    path = target / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | config))
    return target


def test_the_names_of_older_checkpoints_are_read(autoencoder: Path, tmp_path: Path) -> None:
    names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}

    def older(tensors: dict[str, Any]) -> dict[str, Any]:
        renamed = {}
        for name, tensor in tensors.items():
            for new, old in names.items():
                name = name.replace(f"attentions.0.{new}.", f"attentions.0.{old}.")
            renamed[name] = tensor
        assert "encoder.mid_block.attentions.0.proj_attn.weight" in renamed
        return renamed

    found, expected = (
        load_autoencoder(directory).network.state_dict()
        for directory in (rewritten(autoencoder, tmp_path / "older", older), autoencoder)
    )
    assert found.keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in found.items())


def test_an_autoencoder_may_have_no_attention(autoencoder: Path, tmp_path: Path) -> None:
    def without(tensors: dict[str, Any]) -> dict[str, Any]:
        return {name: tensor for name, tensor in tensors.items() if "attentions" not in name}

    load_autoencoder(rewritten(autoencoder, tmp_path / "none", without, mid_block_add_attention=False))
    with pytest.raises(ExportError, match=r"tensor encoder\.mid_block\.attentions\.0\.group_norm\.bias.* is left over"):
        load_autoencoder(rewritten(autoencoder, tmp_path / "more", dict, mid_block_add_attention=False))


def test_a_tensor_missing_or_left_over_is_named_and_the_decoder_is_left_out(autoencoder: Path, tmp_path: Path) -> None:
    def without(part: str) -> Any:
        return lambda tensors: {name: tensor for name, tensor in tensors.items() if not name.startswith(part)}

    later = {f"{name}.weight": np.ones(3, np.float32) for name in ("decoder.conv_in", "quant_conv", "post_quant_conv")}
    load_autoencoder(rewritten(autoencoder, tmp_path / "whole", lambda tensors: tensors | later))
    with pytest.raises(ExportError, match=r"autoencoder checkpoint: tensor encoder\.conv_norm_out\.weight is missing"):
        load_autoencoder(rewritten(autoencoder, tmp_path / "less", without("encoder.conv_norm_out.weight")))
    more = {"encoder.surplus.weight": np.ones(3, np.float32)}
    with pytest.raises(ExportError, match=r"autoencoder checkpoint: tensor encoder\.surplus\.weight is left over"):
        load_autoencoder(rewritten(autoencoder, tmp_path / "more", lambda tensors: tensors | more))
    shape = {"encoder.conv_in.bias": np.ones(3, np.float32)}
    with pytest.raises(ExportError, match=r"tensor encoder\.conv_in\.bias has shape \(3,\), expected \(4,\)"):
        load_autoencoder(rewritten(autoencoder, tmp_path / "shape", lambda tensors: tensors | shape))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"_class_name": "AutoencoderTiny"}, "_class_name is 'AutoencoderTiny', supported is AutoencoderKL"),
        ({"in_channels": 4}, "in_channels is 4, supported is 3"),
        ({"act_fn": "gelu"}, "act_fn is 'gelu', supported is 'silu'"),
        ({"down_block_types": ["DownEncoderBlock2D"]}, "down_block_types is ['DownEncoderBlock2D'], supported is"),
        ({"down_block_types": ["AttnDownEncoderBlock2D"] * 4}, "down_block_types is ['AttnDownEncoderBlock2D', 'Attn"),
        ({"layers_per_block": 0}, "layers_per_block is 0, not a whole number from 1 on"),
        ({"norm_num_groups": None}, "norm_num_groups is None, not a whole number from 1 on"),
        ({"block_out_channels": [8, 9]}, "block_out_channels is [8, 9], not multiples of norm_num_groups (2)"),
        ({"block_out_channels": []}, "block_out_channels is [], not multiples of"),
        ({"block_out_channels": 8}, "block_out_channels is 8, not multiples of"),
        ({"latent_channels": 3}, "tensor encoder.conv_out.bias has shape (4,), expected (6,)"),
    ],
)
def test_what_is_not_supported_has_a_sentence(
    config: dict[str, Any], message: str, autoencoder: Path, tmp_path: Path
) -> None:
    with pytest.raises(ExportError) as raised:
        load_autoencoder(rewritten(autoencoder, tmp_path / "changed", lambda tensors: tensors, **config))
    assert str(raised.value).startswith("autoencoder checkpoint: ")
    assert message in str(raised.value)


def test_random_weights_have_the_size_of_the_default_source(tmp_path: Path) -> None:
    parameters = sum(int(np.prod(shape)) for _, shape in encoder_shapes(WIDTHS, 2, 4))
    assert parameters == 34_163_592  # as diffusers counts them for the config of stabilityai/sdxl-vae
    write_autoencoder_checkpoint(tmp_path / "one", 1, widths=(4, 4), groups=2)
    write_autoencoder_checkpoint(tmp_path / "two", 2, widths=(4, 4), groups=2)
    one, two = (load_file(tmp_path / name / TENSORS)["encoder.conv_in.weight"] for name in ("one", "two"))
    assert np.abs(one - two).max() > 0
    assert load_autoencoder(tmp_path / "one").shape == (8, 120, 120)


def test_a_source_without_its_files_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(SourceUnavailable, match=f"has no {TENSORS}"), open_source(str(tmp_path), "autoencoder"):
        pass
    with pytest.raises(SourceUnavailable, match="no demo network for autoencoder"), open_source("demo", "autoencoder"):
        pass


@pytest.mark.usefixtures("without_graphs")
def test_an_export_adds_it_with_its_measures_and_takes_both_away(
    repository: Path, autoencoder: Path, tmp_path: Path
) -> None:
    before = json.loads((repository / "weights.json").read_text())
    assert before["metrics"] == list(NAMES)
    ensemble = (repository / "video_signals" / "config.pbtxt").read_text()
    export_networks(None, None, repository, lambda _: None, autoencoder=str(autoencoder), target="cpu")
    source = f"directory {autoencoder}"
    entry = {"model": "frame_autoencoder", "source": source, "latents": [4, 30, 30]}
    manifest = json.loads((repository / "weights.json").read_text())
    assert manifest == before | {"autoencoder": entry, "metrics": [*NAMES, *LATENT_NAMES]}
    assert described(manifest)["autoencoder"] == {"source": source}
    assert optional_networks(manifest) == ["frame_autoencoder"]
    written = {str(path.relative_to(repository / "frame_autoencoder")) for path in repository.glob("frame_*/**/*.*")}
    assert written == {*CONFIGS, "1/model.onnx"}
    assert "dims: [ 4, 30, 30 ]" in (repository / "frame_autoencoder" / "config.pbtxt").read_text()
    # `video_decode` asks it: the ensemble is the same.
    assert (repository / "video_signals" / "config.pbtxt").read_text() == ensemble

    shutil.copytree(repository, tmp_path / "git" / "model_repository")
    shutil.copy(MODEL_REPOSITORY.parent / ".gitignore", tmp_path / "git")
    subprocess.run(["git", "init", "--quiet", tmp_path / "git"], check=True)
    command = ["git", "-C", str(tmp_path / "git"), "ls-files", "--others", "--exclude-standard"]
    seen = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "model_repository/video_motion/config.pbtxt" in seen
    assert "frame_autoencoder" not in seen

    with pytest.raises(ExportError, match="autoencoder is to be both exported and removed"):
        export_networks(None, None, repository, autoencoder=str(autoencoder), remove=["frame_autoencoder"])
    export_networks(None, None, repository, lambda _: None, remove=["autoencoder"])
    assert json.loads((repository / "weights.json").read_text()) == before
    assert not (repository / "frame_autoencoder").exists()
    with pytest.raises(ExportError, match="cannot remove autoencoder: the optional networks are none"):
        export_networks(None, None, repository, remove=["autoencoder"])


@pytest.mark.parametrize(
    ("arguments", "source"), [(["--autoencoder"], AUTOENCODER_REPOSITORY), (["--autoencoder", "random:3"], "random:3")]
)
def test_the_command_line_exports_it_alone(arguments: list[str], source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, Any]] = []

    def record(motion: object, camera: object, repository: Path, report: object, **options: Any) -> None:
        calls.append({"motion": motion, "camera": camera} | options)

    monkeypatch.setattr("export.networks.export_networks", record)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert main(arguments) == 0
    (call,) = calls
    named = {name for name in ("motion", "camera", "frames", "actions", "autoencoder") if call[name] is not None}
    assert (named, call["autoencoder"]) == ({"autoencoder"}, source)


def test_a_source_that_cannot_be_read_names_the_option(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert main(["--autoencoder", str(tmp_path), "--model-repository", str(repository)]) == 3
    errors = capsys.readouterr().err
    assert "has no config.json; nothing was changed" in errors
    assert errors.endswith(" -m export --autoencoder DIRECTORY\n")


@pytest.mark.parametrize(
    ("missing", "profile", "precision", "sentence"),
    [
        (None, "cpu", "int8", None),  # it has no 8-bit form
        (None, "gpu", "auto", None),
        ("model*.onnx", "cpu", "auto", "has no frame_autoencoder, which weights.json names: export it again (--auto"),
        ("model_fp16.onnx", "gpu", "auto", "frame_autoencoder has no fp16 network for the GPU: export it again (--au"),
    ],
)
def test_a_server_is_not_started_with_half_of_it(
    missing: str | None, profile: str, precision: str, sentence: str | None, tmp_path: Path
) -> None:
    for model in ("motion_backbone", "motion_head", "camera_classifier", "frame_autoencoder"):
        (tmp_path / model / "1").mkdir(parents=True)
        for form in ("model.onnx", "model_fp16.onnx", "model_int8.xml"):
            if model != "frame_autoencoder" or "int8" not in form:
                (tmp_path / model / "1" / form).touch()
    for path in (tmp_path / "frame_autoencoder" / "1").glob(missing or "nothing"):
        path.unlink()
    (tmp_path / "video_motion").mkdir()
    (tmp_path / "video_motion" / "config.pbtxt").touch()
    manifest = {"motion": "m", "camera": "c", "autoencoder": {"model": "frame_autoencoder"}}
    (tmp_path / "weights.json").write_text(json.dumps(manifest))
    found = [each for each in problems(tmp_path, "127.0.0.1", {}, profile, precision) if "/dev/shm" not in each]
    assert len(found) == (sentence is not None)
    assert sentence is None or sentence in found[0]


class Running:
    """In place of a running server: notes what is loaded."""

    def __init__(self, weights: dict[str, Any]) -> None:
        self._weights = weights
        self.changes: list[str] = []

    def weights(self) -> dict[str, Any]:
        return self._weights

    def load(self, model: str) -> None:
        self.changes.append(model)

    def load_again(self, model: str) -> None:
        self.changes.append(f"{model} again")

    def unload(self, model: str) -> None:
        self.changes.append(f"not {model}")


def test_a_running_server_decodes_for_what_was_exported_meanwhile(tmp_path: Path) -> None:
    """`video_decode` has read which measures and frames there are: another manifest is for another one."""
    served = {"motion": "m", "camera": "c"}
    again = ["embedding_copy", "video_decode again", "video_sampling again", "video_signals"]
    path = tmp_path / "weights.json"
    for key, model in (("autoencoder", "frame_autoencoder"), ("frames", "frame_encoder")):
        path.write_text(json.dumps(served | {key: {"model": model, "source": "s"}}))
        running = Running(served)
        change(cast(RunningServer, running), tmp_path, [model], remove=False)
        assert running.changes == [model, *again]
        other = Running(served | {key: {"source": "other"}})
        with pytest.raises(NotLoaded, match=f"the server has the {key} of other, and the repository that of s"):
            change(cast(RunningServer, other), tmp_path, [model], remove=False)
        path.write_text(json.dumps(served))
        running = Running(served)
        change(cast(RunningServer, running), tmp_path, [model], remove=True)
        assert running.changes == [*again, f"not {model}"]
    path.write_text(json.dumps(served | {"actions": {"model": "action_classifier", "source": "s"}}))
    running = Running(served)
    change(cast(RunningServer, running), tmp_path, ["action_classifier"], remove=False)
    assert "video_decode again" not in running.changes


def run(path: Path, value: NDArray[np.uint8]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found: NDArray[np.float32] = session.run(None, {"FRAMES": value})[0]
    return found


@pytest.mark.slow
def test_every_form_answers_as_diffusers_does(
    repository: Path, autoencoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Graphs in float32 and in fp16, and a plan by a stand-in for TensorRT."""
    machine = Machine(tmp_path / "machine", monkeypatch)
    machine.python_package("10.13.3.9", fused=0)
    lines: list[str] = []
    export_networks(None, None, repository, lines.append, autoencoder=str(autoencoder), target="tensorrt")
    directory = repository / "frame_autoencoder" / "1"
    assert tuple(name for name in FORMS if (directory / name).is_file()) == FORMS
    assert "frame_autoencoder: 0 kernels for attention in 0 layers, the plan differs" in "\n".join(lines)
    (profile,) = json.loads((directory / "model.plan").read_text())["profiles"]
    assert profile["FRAMES"] == [[rows, 240, 240, 3] for rows in (1, 16, 16)]

    pictures = noisy_pictures()
    expected = latents_with_diffusers(autoencoder, pictures)
    assert_close(run(directory / "model.onnx", pictures), expected)
    fp16 = run(directory / "model_fp16.onnx", pictures)
    assert_close(fp16, expected, 0.01)
    assert np.abs(fp16 - expected).max() > 1e-6  # as small if it were float32
    graph = onnx.load(directory / "model_fp16.onnx").graph
    half = {tuple(tensor.dims) for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT16}
    assert half >= {(4, 4, 3, 3), (8, 4, 3, 3), (8, 8, 3, 3)}  # of the residual blocks
    assert (4, 3, 3, 3) not in half  # the first convolution

    export_networks(None, None, repository, lambda _: None, autoencoder=str(autoencoder), target="cpu")
    assert [name for name in FORMS if (directory / name).is_file()] == ["model.onnx"]


@pytest.mark.slow
def test_what_exceeds_fp16_between_the_blocks_is_no_loss(repository: Path, autoencoder: Path, tmp_path: Path) -> None:
    """As in checkpoints that diffusers runs in float32 alone (`force_upcast`)."""

    def larger(tensors: dict[str, Any]) -> dict[str, Any]:
        first = {name: tensors[name] * np.float32(1e5) for name in ("encoder.conv_in.weight", "encoder.conv_in.bias")}
        return tensors | first

    directory = rewritten(autoencoder, tmp_path / "larger", larger)
    export_networks(None, None, repository, lambda _: None, autoencoder=str(directory), target="gpu")
    found = run(repository / "frame_autoencoder" / "1" / "model_fp16.onnx", noisy_pictures())
    assert_close(found, latents_with_diffusers(directory, noisy_pictures()), 0.01)
