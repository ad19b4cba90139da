"""How often callers may ask whether the server is still there."""

PING_INTERVAL_SECONDS = 1.0
"""The shortest interval between pings of one connection, with or without calls; one that goes on faster is closed.

By default, gRPC closes a connection after four pings without data, and forbids them between calls.
"""
TRITON_FLAGS = [
    f"--grpc-http2-min-recv-ping-interval-without-data={round(PING_INTERVAL_SECONDS * 1000)}",
    "--grpc-keepalive-permit-without-calls=true",
]
"""The same for tritonserver itself, in milliseconds."""
