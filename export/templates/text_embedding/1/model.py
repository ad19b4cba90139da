"""TEXT to TEXT_EMBEDDING and TEXT_TOKENS: the checkpoint's tokenizer, then the model text_encoder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils  # before the project: it puts PYTHONPATH into sys.path

from backends.network import error_response
from backends.text import InvalidText, TextTokens

ENCODER = "text_encoder"


class TritonPythonModel:
    """The class that Triton loads."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Read the tokenizer."""
        parameters = json.loads(args["model_config"])["parameters"]
        settings = {name: value["string_value"] for name, value in parameters.items()}
        path = Path(args["model_repository"]) / args["model_version"] / "tokenizer.json"
        padding = int(settings["PADDING"]) if settings.get("PADDING") else None
        try:
            self.tokens = TextTokens(path, int(settings["MAX_TOKENS"]), padding)
        except Exception as error:
            raise pb_utils.TritonModelException(f"{path} cannot be read: {error}") from error

    def execute(self, requests: list) -> list:
        """Answer each request; an error affects only the request that causes it."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        given = pb_utils.get_input_tensor_by_name(request, "TEXT").as_numpy().reshape(-1)[0]
        try:
            text = self.tokens.of(given)
        except InvalidText as error:
            return error_response(str(error), pb_utils.TritonError.INVALID_ARG)
        asked = pb_utils.InferenceRequest(
            model_name=ENCODER,
            inputs=[pb_utils.Tensor("TOKEN_IDS", text.ids)],
            requested_output_names=["TEXT_EMBEDS"],
        ).exec()
        if asked.has_error():
            return pb_utils.InferenceResponse(error=asked.error())
        embedding = pb_utils.get_output_tensor_by_name(asked, "TEXT_EMBEDS")
        counts = np.array([[text.used, text.whole]], np.int32)
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor("TEXT_EMBEDDING", embedding.as_numpy()), pb_utils.Tensor("TEXT_TOKENS", counts)]
        )
