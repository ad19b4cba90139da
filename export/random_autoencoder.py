"""The encoder of an `AutoencoderKL` with random weights, by the formulas of `export.random_weights`."""

from pathlib import Path

from export.random_weights import Shapes, draw, linear, norm, write_checkpoint

WIDTHS = (128, 256, 512, 512)
TENSORS = "diffusion_pytorch_model.safetensors"
"""Diffusers' name of the file with the tensors."""


def write_autoencoder_checkpoint(
    directory: Path,
    seed: int = 0,
    *,
    widths: tuple[int, ...] = WIDTHS,
    layers: int = 2,
    groups: int = 32,
    latents: int = 4,
) -> None:
    """Write an encoder without a decoder (`config.json`, `diffusion_pytorch_model.safetensors`).

    The defaults are the size of `stabilityai/sdxl-vae`: 34.2 M parameters. What it computes means nothing.
    """
    config = {
        "_class_name": "AutoencoderKL",
        "act_fn": "silu",
        "block_out_channels": list(widths),
        "down_block_types": ["DownEncoderBlock2D"] * len(widths),
        "in_channels": 3,
        "latent_channels": latents,
        "layers_per_block": layers,
        "norm_num_groups": groups,
    }
    tensors = {name: draw(name, shape, seed) for name, shape in encoder_shapes(widths, layers, latents)}
    write_checkpoint(directory, tensors, {"config.json": config}, TENSORS)


def encoder_shapes(widths: tuple[int, ...], layers: int, latents: int) -> Shapes:
    """The tensors of the encoder."""
    yield from _convolution("encoder.conv_in", 3, widths[0])
    for index, width in enumerate(widths):
        block = f"encoder.down_blocks.{index}"
        for layer in range(layers):
            inputs = widths[max(0, index - 1)] if layer == 0 else width
            yield from _residual(f"{block}.resnets.{layer}", inputs, width)
        if index < len(widths) - 1:
            yield from _convolution(f"{block}.downsamplers.0.conv", width, width)
    last = widths[-1]
    for layer in range(2):
        yield from _residual(f"encoder.mid_block.resnets.{layer}", last, last)
    yield from norm("encoder.mid_block.attentions.0.group_norm", last)
    for part in ("to_q", "to_k", "to_v", "to_out.0"):
        yield from linear(f"encoder.mid_block.attentions.0.{part}", last, last)
    yield from norm("encoder.conv_norm_out", last)
    yield from _convolution("encoder.conv_out", last, 2 * latents)


def _residual(name: str, inputs: int, outputs: int) -> Shapes:
    yield from norm(f"{name}.norm1", inputs)
    yield from _convolution(f"{name}.conv1", inputs, outputs)
    yield from norm(f"{name}.norm2", outputs)
    yield from _convolution(f"{name}.conv2", outputs, outputs)
    if inputs != outputs:
        yield from _convolution(f"{name}.conv_shortcut", inputs, outputs, 1)


def _convolution(name: str, inputs: int, outputs: int, size: int = 3) -> Shapes:
    yield f"{name}.weight", (outputs, inputs, size, size)
    yield f"{name}.bias", (outputs,)
