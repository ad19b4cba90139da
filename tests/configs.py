"""A model's config.pbtxt, read with Triton's own protobuf."""

from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from tests.conftest import MODEL_REPOSITORY


def parse(path: Path) -> model_config_pb2.ModelConfig:
    return text_format.Parse(path.read_text(), model_config_pb2.ModelConfig())


def config_of(model: str, profile: str) -> model_config_pb2.ModelConfig:
    """The configuration that Triton uses for a profile: the default if the model has none of that name."""
    path = MODEL_REPOSITORY / model / "configs" / f"{profile}.pbtxt"
    return parse(path if path.is_file() else MODEL_REPOSITORY / model / "config.pbtxt")


def full_shapes(config: model_config_pb2.ModelConfig) -> dict[str, tuple[int, list[int]]]:
    """Type and shape of every tensor that has a shape in the configuration, its batch axis included."""
    leading = [-1] if config.max_batch_size else []
    tensors = [tensor for tensor in [*config.input, *config.output] if tensor.dims]
    return {tensor.name: (tensor.data_type, leading + list(tensor.dims)) for tensor in tensors}
