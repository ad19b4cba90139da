"""Where the Ray cluster is: what an option says, or the variable `RAY_ADDRESS`, with Ray's own rules."""

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import ClientError

OPTION, VARIABLE = "--ray-address", "RAY_ADDRESS"
AUTO = "auto"
"""The cluster that this machine is a node of."""
LOCAL = "local"
"""What Ray calls a cluster of its own on this machine."""
CONNECT_SECONDS = 10.0
_AUTHENTICATION = "RAY_AUTH_MODE"
_PLACE = re.compile(r"(?:\[(?P<literal>[0-9a-fA-F:.%]+)\]|(?P<host>[^\s:/@\[\]]+)):(?P<port>[0-9]{1,5})")


class ClusterError(ClientError):
    """There is no Ray cluster, or it cannot do the work; the message says why."""


@dataclass(frozen=True)
class Address:
    """The address of a cluster; `str` says where it is."""

    text: str = LOCAL
    """`auto`, `local` or HOST:PORT; not ray://HOST:PORT, through which Ray Data does not work."""
    is_of_variable: bool = False
    """Whether `RAY_ADDRESS` gave it."""

    def __str__(self) -> str:
        if self.text in (AUTO, LOCAL):
            return "on this machine"
        return f"at {self.text}" + (f" ({VARIABLE})" if self.is_of_variable else "")

    def check(self) -> None:
        """Raise `ClusterError` if nothing listens there, or something else: Ray itself would wait for minutes."""
        place = _PLACE.fullmatch(self.text)
        if place is None:
            return
        try:
            with socket.create_connection((place["literal"] or place["host"], int(place["port"])), CONNECT_SECONDS):
                pass
        except (OSError, ValueError) as error:
            raise ClusterError(f"no Ray cluster {self}: {getattr(error, 'strerror', None) or error}") from error
        if why := _refusal(self.text):
            raise ClusterError(f"no Ray cluster {self}: {why}")


def _refusal(place: str) -> str:
    """Why Ray could not connect, by the first question of its own client; empty if it can, or that is not told."""
    if os.environ.get("RAY_USE_TLS", "0") != "0":
        return ""
    try:
        from ray.core.generated import gcs_service_pb2, gcs_service_pb2_grpc
    except ImportError:
        return ""
    import grpc

    with grpc.insecure_channel(place, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            stub = gcs_service_pb2_grpc.NodeInfoGcsServiceStub(channel)
            stub.GetClusterId(gcs_service_pb2.GetClusterIdRequest(), timeout=CONNECT_SECONDS)
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNIMPLEMENTED):
                return "what listens there is no head of one, whose port is mostly 6379"
            if error.code() == grpc.StatusCode.UNAUTHENTICATED and os.environ.get(_AUTHENTICATION) != "token":
                return f"it asks for a token: set {_AUTHENTICATION}=token"
        except AttributeError:
            pass
    return ""


def cluster_address(option: str | None, environment: Mapping[str, str] = os.environ) -> Address:
    """The address that `option` gives, else `RAY_ADDRESS`, else `local`. The variable replaces `auto`, too, as in Ray.

    Raises ValueError with a sentence if it is no address.
    """
    is_of_variable = option in (None, AUTO) and bool(environment.get(VARIABLE))
    text = environment[VARIABLE] if is_of_variable else LOCAL if option is None else option
    place = _PLACE.fullmatch(text)
    if text not in (AUTO, LOCAL) and (place is None or not 0 < int(place["port"]) < 65536):
        name = VARIABLE if is_of_variable else OPTION
        raise ValueError(f"{name} is {text!r}, it must be {AUTO}, {LOCAL} or HOST:PORT")
    return Address(text, is_of_variable)
