"""The messages of `python -m server`."""

import subprocess
import sys

PROGRAM = """
import logging
from server import logs

logs.configure()
logging.getLogger("server.supervisor").info("started")
logging.getLogger("server").warning("a process died")
logging.getLogger("video.runtime_directory").warning("another name")
logging.getLogger("asyncio").info("detail")
logging.getLogger("openvino").warning("of a library")
"""


def test_messages_have_a_prefix_and_warnings_go_to_standard_error() -> None:
    result = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert result.stdout == "server: started\n"
    assert result.stderr == "server: a process died\nserver: another name\nof a library\n"


def test_a_closed_output_is_no_error() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", f"input()\n{PROGRAM}\nimport os\nos._exit(0)"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.write("\n")
        process.stdin.close()
        assert process.stderr.read() == "server: a process died\nserver: another name\nof a library\n"
    assert process.returncode == 0
