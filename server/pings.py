"""How often callers may ask whether the server is still there, and how often it asks them."""

PING_INTERVAL_SECONDS = 1.0
"""The shortest interval between pings of one connection, with or without calls; one that goes on faster is closed.

By default, gRPC closes a connection after four pings without data, and forbids them between calls.
"""
KEEPALIVE_SECONDS = 30.0
"""How long a connection may be silent before the server pings its caller: balancers forget it after a minute."""
KEEPALIVE_TIMEOUT_SECONDS = 60.0
"""How long the answer may take; then the caller is gone. On a slow line, megabytes of a video may arrive before it."""
GRPC_OPTIONS = [
    ("grpc.http2.min_ping_interval_without_data_ms", round(PING_INTERVAL_SECONDS * 1000)),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.keepalive_time_ms", round(KEEPALIVE_SECONDS * 1000)),
    ("grpc.keepalive_timeout_ms", round(KEEPALIVE_TIMEOUT_SECONDS * 1000)),
    # Newer releases of gRPC wait for this one, which is a minute by default.
    ("grpc.http2.ping_timeout_ms", round(KEEPALIVE_TIMEOUT_SECONDS * 1000)),
    ("grpc.http2.max_pings_without_data", 0),
]
"""Of the proxy's server."""
TRITON_FLAGS = [
    f"--grpc-http2-min-recv-ping-interval-without-data={round(PING_INTERVAL_SECONDS * 1000)}",
    "--grpc-keepalive-permit-without-calls=true",
    f"--grpc-keepalive-time={round(KEEPALIVE_SECONDS * 1000)}",
    f"--grpc-keepalive-timeout={round(KEEPALIVE_TIMEOUT_SECONDS * 1000)}",
    "--grpc-http2-max-pings-without-data=0",
]
"""The same for tritonserver itself, in milliseconds."""
