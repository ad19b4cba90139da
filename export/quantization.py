"""Quantization of a network to 8 bits with NNCF, for OpenVINO on a CPU."""

import contextlib
import io
import logging
import tempfile
from pathlib import Path
from types import ModuleType

import openvino

from export.calibration import Clips
from export.errors import ExportError


def quantize(exact: openvino.Model, inputs: Clips, *, transformer: bool) -> openvino.Model:
    """A copy of `exact` with fake quantization of its products, on weights, too.

    `inputs`, a row for each run, calibrate the ranges of activations. `transformer` says whether the network is one:
    its activations are then smoothed, and its softmaxes stay exact, and so does its patch embedding, a small layer that
    all answers depend on. Raises `ExportError` if NNCF is not installed.
    """
    nncf = require_nncf()
    parameters = nncf.AdvancedQuantizationParameters(
        # The extremes of all inputs, not their means, by which brighter videos than most would be cut off.
        activations_range_estimator_params=nncf.quantization.range_estimator.RangeEstimatorParametersSet.MINMAX,
        backend_params={"compress_weights": False},
    )
    with contextlib.redirect_stdout(io.StringIO()):  # progress bars
        return nncf.quantize(
            exact,
            nncf.Dataset([row[None] for row in inputs]),
            model_type=nncf.ModelType.TRANSFORMER if transformer else None,
            ignored_scope=nncf.IgnoredScope(types=["Convolution"], validate=False) if transformer else None,
            subset_size=len(inputs),
            advanced_parameters=parameters,
        )


def save_quantized(quantized: openvino.Model, model: Path, weights: Path) -> None:
    """Write an OpenVINO `model` (xml) and its `weights` (bin) of 8 bits."""
    from openvino._offline_transformations import compress_quantize_weights_transformation

    compress_quantize_weights_transformation(quantized)
    with tempfile.TemporaryDirectory(dir=model.parent) as directory:
        saved = Path(directory, "model.xml")  # OpenVINO tells formats by the ending of the name
        openvino.save_model(quantized, saved, compress_to_fp16=False)
        saved.replace(model)
        saved.with_suffix(".bin").replace(weights)


def require_nncf() -> ModuleType:
    """The module `nncf`; `ExportError` that says how to install it."""
    try:
        import nncf
    except ImportError as error:
        raise ExportError("8-bit networks need NNCF: run `pip install --group int8` in the checkout") from error
    # Not `nncf.set_log_level`: it changes the handlers, too, and others share them.
    logging.getLogger("nncf").setLevel(logging.ERROR)
    return nncf
