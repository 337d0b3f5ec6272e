"""Reads the fenced blocks of a Markdown page that the tests run.

The convention: the ```console block with `pilotfish serve` starts the sidecar; each ```python block is a whole program
that is run against it; a ```text block that follows a ```python block is exactly what the program prints, where `...`
stands for what differs from run to run. In console blocks commands begin with `$ `.
"""

import re
from typing import NamedTuple

FENCE = re.compile(r"^```(?P<language>\w*)[^\n]*\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """One fenced block."""

    language: str
    body: str


class Call(NamedTuple):
    """A program and what it prints."""

    program: str
    printed: str


def blocks(page: str) -> list[Block]:
    """Returns the fenced blocks in order."""
    return [Block(found["language"], found["body"]) for found in FENCE.finditer(page)]


def commands(page: str) -> list[str]:
    """Returns the commands of the console blocks, without the prompt."""
    lines = (line for block in blocks(page) if block.language == "console" for line in block.body.splitlines())
    return [line.removeprefix("$ ").strip() for line in lines if line.startswith("$ ")]


def start_command(page: str) -> str:
    """Returns the one command that starts the sidecar."""
    found = [command for command in commands(page) if "pilotfish serve" in command]
    assert len(found) == 1, f"the page must have one `pilotfish serve` command, not {found}"
    return found[0].removesuffix("&").strip()


def calls(page: str) -> list[Call]:
    """Returns each python block with the text block that follows it, or with no output."""
    found = blocks(page)
    followers = [*found[1:], Block("", "")]
    return [
        Call(block.body, after.body if after.language == "text" else "")
        for block, after in zip(found, followers, strict=True)
        if block.language == "python"
    ]
