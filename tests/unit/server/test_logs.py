"""Log lines: one renderer for both kinds of logger."""

import json
import logging
import subprocess
import sys

import pytest

PROGRAM = """
import logging, threading, structlog
from pilotfish.server import logs

logs.configure("info", "{format}")
structlog.get_logger("a").info("own", count=3, path=__import__("pathlib").Path("/p"))
logging.getLogger("b").warning("standard %s", "library", extra={{"more": 1}})
logging.getLogger("b").debug("too fine")
context = "never to be written"
try:
    raise RuntimeError("bug")
except RuntimeError:
    logging.getLogger("b").exception("it failed")

def fail():
    raise ValueError("in a thread")

thread = threading.Thread(target=fail, name="worker")
thread.start()
thread.join()
"""


def output(format_: str) -> str:
    program = PROGRAM.format(format=format_)
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert ended.stderr == ""
    return ended.stdout


def test_json_lines_hold_event_level_time_logger_and_fields() -> None:
    own, standard, failed, thread = map(json.loads, output("json").splitlines())

    assert list(own)[:3] == ["time", "level", "event"]
    assert (own["event"], own["level"], own["logger"], own["count"], own["path"]) == ("own", "info", "a", 3, "/p")
    assert (standard["event"], standard["level"], standard["more"]) == ("standard library", "warning", 1)
    assert "RuntimeError: bug" in failed["exception"]
    assert thread["event"] == "thread worker ended by an exception"
    assert "ValueError: in a thread" in thread["exception"]


def test_auto_is_json_without_a_terminal() -> None:
    assert all(json.loads(line) for line in output("auto").splitlines())


@pytest.mark.parametrize("format_", ["json", "text"])
def test_a_trace_shows_no_values_of_variables(format_: str) -> None:
    text = output(format_)

    assert "RuntimeError" in text
    assert "never to be written" not in text


def test_text_is_for_reading() -> None:
    first = output("text").splitlines()[0]

    assert "own" in first
    assert "count=3" in first
    assert not first.startswith("{")


def test_configuring_leaves_the_root_logger_with_one_handler() -> None:
    program = (
        "import logging\nfrom pilotfish.server import logs\n"
        "logs.configure()\nlogs.configure('error', 'json')\n"
        "print(len(logging.getLogger().handlers), logging.getLogger().level)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)

    assert ended.stdout.split() == ["1", str(logging.ERROR)]
