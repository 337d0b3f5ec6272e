"""Whatever a person sends to the rollout's methods: an answer, or a reason; and what is refused changes nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pilotfish.codes import Mode
from pilotfish.engine.engine import Engine, EngineSettings
from pilotfish.engine.helm import Kept
from pilotfish.experiments.conductor import Conductor
from pilotfish.experiments.settings import RolloutSettings
from pilotfish.rewards import RewardFunction
from pilotfish.server.rollout_methods import rollout_methods
from pilotfish.server.servicer import control_methods
from pilotfish.server.status import status_of
from pilotfish.training.registry import Registry

NUMBERS = st.sampled_from((0.0, -0.0, 5e-324, 0.05, 0.25, 0.5, 1.0, 1.5, -1.0, 1e308)) | st.floats()
INTEGERS = st.sampled_from((0, 1, 2, 3, 4, 5, 1000, 1001, -1, 2**31 - 1, -(2**31)))
ACTORS = st.sampled_from(("", "ann", "automatic", "é" * 64, "é" * 65, "\0", "a\nb"))
TEXTS = st.sampled_from(("", "because", "é" * 512, "x" * 1024, "x" * 1025, "\0", "'; --")) | st.text(max_size=20)
VERSIONS = st.sampled_from(("", "live", "KEPT", "KEPT[:8]", "0" * 8, "f" * 64, "f" * 65, "Live", "../x", "é" * 8))
PATHS = st.sampled_from(("", ".", "/", "/dev/null", "missing", "x" * 300, "x" * 4097, "a/\0", "~", "é" * 2049, "KEPT"))

FIELDS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "SetMode": {"mode": INTEGERS, "rollout_share": NUMBERS, "actor": ACTORS, "reason": TEXTS},
    "GetRollout": {},
    "Promote": {
        "policy_version": VERSIONS,
        "rollout_share": NUMBERS,
        "force": st.booleans(),
        "actor": ACTORS,
        "reason": TEXTS,
    },
    "Rollback": {"policy_version": VERSIONS, "actor": ACTORS, "reason": TEXTS},
    "HoldRollout": {"hold": st.booleans(), "actor": ACTORS, "reason": TEXTS},
    "PauseLearning": {"pause": st.booleans(), "actor": ACTORS, "reason": TEXTS},
    "ListChanges": {"page_size": INTEGERS},
    "ListModelVersions": {},
    "KeepModelVersion": {"note": TEXTS, "actor": ACTORS, "path": PATHS},
    "ResetBreaker": {"module": TEXTS, "actor": ACTORS},
}
REFUSALS = {
    grpc.StatusCode.INVALID_ARGUMENT.value[0],
    grpc.StatusCode.FAILED_PRECONDITION.value[0],
    grpc.StatusCode.NOT_FOUND.value[0],
}


class Control:
    """An engine under its conductor, one version kept, and the methods that look at it and change it."""

    def __init__(self, directory: Path) -> None:
        registry = Registry(directory / "models")

        def load_kept(version: str) -> Kept:
            model, info = registry.load(version)
            return Kept(model, info.birth)

        self.engine = Engine(directory, EngineSettings(mode=Mode.ROLLOUT, growth="off"), load_kept=load_kept)
        conductor = Conductor(self.engine, RolloutSettings(), RewardFunction(), registry)
        self.kept = conductor.keep("", "test")
        self.file = next((directory / "models").glob("*"))
        self.rollout = rollout_methods(conductor, registry)
        self.methods = {method.name: method for method in (*control_methods(self.engine), *self.rollout)}

    def in_force(self) -> tuple[Any, ...]:
        """All that a decision reads, and the last row of the audit log."""
        return (self.engine.serves, self.engine.exposure, self.engine.changes(1))


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Control]:
    control_ = Control(tmp_path_factory.mktemp("control"))
    yield control_
    control_.engine.close()


def test_each_method_of_the_rollout_is_tried(opened: Control) -> None:
    assert set(FIELDS) == {method.name for method in opened.rollout} | {"SetMode"}


@pytest.mark.parametrize("name", FIELDS)
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_request_is_answered_or_refused_with_the_value_and_the_rule(
    name: str, data: st.DataObject, opened: Control
) -> None:
    method = opened.methods[name]
    proto = method.request_class()
    for field, values in FIELDS[name].items():
        if data.draw(st.booleans(), label=f"has {field}"):
            value = data.draw(values, label=field)
            if value in {"KEPT", "KEPT[:8]"}:
                value = str(opened.file) if field == "path" else opened.kept.sha256[: 8 if "8" in value else 64]
            setattr(proto, field, value)
    before = opened.in_force()
    assert method.call is not None
    try:
        answer = method.call(proto)
    except Exception as error:  # noqa: BLE001  whatever it is, it must have a status of its own
        status = status_of(error)
        info = error_details_pb2.ErrorInfo()
        assert status.code in REFUSALS, status.message
        assert status.details[0].Unpack(info)
        assert info.metadata["rule"], status.message
        assert status.message.endswith(info.metadata["rule"])
        assert opened.in_force() == before
    else:
        assert isinstance(answer, Message)
        answer.SerializeToString()
