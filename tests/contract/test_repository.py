"""What no file of the repository may hold."""

import re
from collections.abc import Iterator

import pytest

from tests.contract.checkout import GENERATED, ROOT, tracked_files

MAX_LINES = 400

# What is forbidden is written in parts here, so that this file does not hold it.
MACHINE_PATH = re.compile(rb"(?<![\w.~$}])/(?:" + b"|".join((b"work", b"root", b"home")) + rb")/[\w.]")
REGISTRIES = (
    ("pypi", "org"),
    ("pythonhosted", "org"),
    ("crates", "io(?!-index)"),  # Cargo.lock names its source by the index's repository
    ("npmjs", "org"),
    ("proxy", "golang", "org"),
    ("maven", "org"),
    ("maven", "apache", "org"),
    ("deb", "debian", "org"),
)
HOSTS = "|".join(r"\.".join(parts) for parts in REGISTRIES)
REGISTRY_HOST = re.compile(rf"(?<![\w.-])(?:[\w-]+\.)*(?:{HOSTS})\b".encode())


def occurrences(pattern: re.Pattern[bytes]) -> Iterator[str]:
    for name in tracked_files():
        for found in pattern.finditer((ROOT / name).read_bytes()):
            yield f"{name}: {found.group().decode(errors='replace').strip()}"


def test_no_file_holds_a_path_of_someones_machine() -> None:
    assert list(occurrences(MACHINE_PATH)) == []


def test_no_file_holds_the_host_of_a_package_registry() -> None:
    assert list(occurrences(REGISTRY_HOST)) == []


@pytest.mark.parametrize(
    ("pattern", "text", "is_found"),
    [
        (MACHINE_PATH, "open('/" + "home/ann/x')", True),
        (MACHINE_PATH, "cd /" + "work/main", True),
        (MACHINE_PATH, "https://example.org/" + "home/page", False),
        (MACHINE_PATH, "tests/" + "work/x", False),
        (REGISTRY_HOST, "--index-url https://py" + "pi.org/simple", True),
        (REGISTRY_HOST, "https://static.crates." + "io/crates", True),
        (REGISTRY_HOST, "registry+https://github.com/rust-lang/crates." + "io-index", False),  # cargo's own name
    ],
)
def test_the_patterns_find_what_they_are_for(pattern: re.Pattern[bytes], text: str, *, is_found: bool) -> None:
    assert bool(pattern.search(text.encode())) is is_found


def test_no_source_file_is_longer_than_its_limit() -> None:
    sources = [name for name in tracked_files() if name.startswith(("python/", "rust_core/", "tests/", "benches/"))]
    written = [name for name in sources if not name.startswith(GENERATED) and name.endswith((".py", ".pyi", ".rs"))]
    lengths = {name: len((ROOT / name).read_bytes().splitlines()) for name in written}

    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}
