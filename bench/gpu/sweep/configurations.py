"""Configurations of a setting: what the sweep serves, and what it recommends, as `configs/NAME.pbtxt` of each model."""

from collections.abc import Iterable
from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from bench.gpu.sweep.grid import NETWORKS, Setting

DECODER = "video_decode"
"""The model that chooses the decoder of each video; where it is not the one of NVDEC, it calls that one."""


class WrongSetting(Exception):
    """The models cannot be served with a setting; the message says why."""


def write(repository: Path, profile: str, name: str, setting: Setting, comment: str) -> list[Path]:
    """Write `configs/NAME.pbtxt` of every model that the setting changes, or that has a configuration of `profile`.

    `profile` (`gpu` or `tensorrt`) is what the configurations start from; `comment` goes to their beginning. Whoever
    serves them says `--model-config-name=NAME`. Returns the files; `WrongSetting` if a batch is too large.
    """
    bases = [config_file(path.parent, profile) for path in sorted(repository.glob("*/config.pbtxt"))]
    configs = {base: _read(base) for base in bases}
    spare = _spare_instances(configs.values())
    files = {}
    for base, config in configs.items():
        if _apply(config, setting, spare) or base.parent.name == "configs":
            files[repository / config.name / "configs" / f"{name}.pbtxt"] = _text(config, comment)
    for path, text in files.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return list(files)


def largest_batch(repository: Path, profile: str, models: Iterable[str]) -> int:
    """The largest batch that all of these models take."""
    return min(_read(config_file(repository / model, profile)).max_batch_size for model in models)


def config_file(model: Path, profile: str) -> Path:
    """The configuration that a profile uses for a model: its own, or else the default one."""
    own = model / "configs" / f"{profile}.pbtxt"
    return own if own.is_file() else model / "config.pbtxt"


def _read(path: Path) -> model_config_pb2.ModelConfig:
    return text_format.Parse(path.read_text(), model_config_pb2.ModelConfig())


def _spare_instances(configs: Iterable[model_config_pb2.ModelConfig]) -> int:
    """How many more instances the model that chooses has than the one of NVDEC: those that decode on the CPU."""
    counts = {
        "dali" if config.backend == "dali" else config.name: sum(group.count for group in config.instance_group)
        for config in configs
    }
    return max(0, counts.get(DECODER, 0) - counts.get("dali", 0))


def _apply(config: model_config_pb2.ModelConfig, setting: Setting, spare: int) -> bool:
    """Change a configuration in place; whether the setting is about this model."""
    if config.backend == "dali":
        _group(config).count = setting.instances
    elif config.name == DECODER:
        # Each instance waits for the model of NVDEC with one video.
        _group(config).count = setting.instances + spare
    elif config.name in NETWORKS:
        if setting.batch > config.max_batch_size:
            raise WrongSetting(f"{config.name} takes batches up to {config.max_batch_size}, not {setting.batch}")
        batching = config.dynamic_batching
        batching.max_queue_delay_microseconds = setting.delay_microseconds
        batching.preferred_batch_size[:] = sorted({setting.batch, config.max_batch_size})
    else:
        return False
    return True


def _group(config: model_config_pb2.ModelConfig) -> model_config_pb2.ModelInstanceGroup:
    return config.instance_group[0] if config.instance_group else config.instance_group.add()


def _text(config: model_config_pb2.ModelConfig, comment: str) -> str:
    comments = "".join(f"# {line}\n" for line in comment.splitlines())
    return comments + text_format.MessageToString(config)
