"""Options of execution accelerators, which config.pbtxt gives to the runtime of a network on a GPU."""

from collections.abc import Mapping
from typing import Any


def accelerator_settings(config: Mapping[str, Any]) -> dict[str, str]:
    """The options in a model's configuration, named after their accelerator: `cuda.sdpa_kernel`."""
    accelerators = config.get("optimization", {}).get("execution_accelerators", {})
    return {
        f"{accelerator['name']}.{option}": value
        for accelerator in accelerators.get("gpu_execution_accelerator", [])
        for option, value in accelerator.get("parameters", {}).items()
    }


def options_of(accelerator: str, settings: Mapping[str, str]) -> dict[str, str]:
    """The options of one accelerator among the settings of a network."""
    prefix = f"{accelerator}."
    return {name.removeprefix(prefix): value for name, value in settings.items() if name.startswith(prefix)}
