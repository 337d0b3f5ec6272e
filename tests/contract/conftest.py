"""The contract as protoc sees it."""

from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from tests.contract.checkout import generate


@pytest.fixture(scope="session")
def contract_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    target: Path = tmp_path_factory.mktemp("contract") / "contract.binpb"
    generate("--descriptor", target)
    return target.read_bytes()


@pytest.fixture
def contract(contract_bytes: bytes) -> FileDescriptorSet:
    """The descriptor set with comments; each test has its own to break."""
    return FileDescriptorSet.FromString(contract_bytes)
