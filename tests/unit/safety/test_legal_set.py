import pytest

from pilotfish.codes import Reason
from pilotfish.request import Module, Request, Task
from pilotfish.safety.legal_set import RULES, legal_set

PDF = Module("pdf", capabilities=("extract", "ocr"), max_data_size_bytes=1000)
TEXT = Module("text", capabilities=("extract",))
BARE = Module("bare")


def ask(
    *,
    required: tuple[str, ...] = (),
    size: int | None = None,
    allowed: tuple[str, ...] = (),
    denied: tuple[str, ...] = (),
) -> Request:
    task = Task("t", required_capabilities=required, data_size_bytes=size)
    return Request(task, (PDF, TEXT, BARE), allowed_modules=allowed, denied_modules=denied)


@pytest.mark.parametrize(
    ("request_", "legal", "removed"),
    [
        (ask(), (0, 1, 2), ()),
        (ask(required=("extract",)), (0, 1), ((2, Reason.MISSING_CAPABILITY),)),
        (ask(required=("extract", "ocr")), (0,), ((1, Reason.MISSING_CAPABILITY), (2, Reason.MISSING_CAPABILITY))),
        (ask(size=1000), (0, 1, 2), ()),
        (ask(size=1001), (1, 2), ((0, Reason.DATA_TOO_LARGE),)),
        (ask(allowed=("text", "unknown")), (1,), ((0, Reason.NOT_ALLOWED), (2, Reason.NOT_ALLOWED))),
        (ask(denied=("text",)), (0, 2), ((1, Reason.DENIED),)),
        (
            ask(allowed=("text",), denied=("text",)),
            (),
            ((0, Reason.NOT_ALLOWED), (1, Reason.DENIED), (2, Reason.NOT_ALLOWED)),
        ),
        (ask(size=2000, required=("ocr",), denied=("pdf",)), (), ((0, 3), (1, 1), (2, 1))),
    ],
)
def test_each_rule_removes_what_breaks_it_and_says_why(
    request_: Request, legal: tuple[int, ...], removed: tuple[tuple[int, int], ...]
) -> None:
    assert legal_set(request_) == (legal, removed)


def test_each_candidate_is_either_legal_or_removed_once() -> None:
    legal, removed = legal_set(ask(required=("ocr",), size=5000, denied=("bare",)))
    assert sorted([*legal, *(index for index, _ in removed)]) == [0, 1, 2]


def test_each_removal_reason_has_its_own_rule() -> None:
    assert len({reason for reason, _ in RULES}) == len(RULES)
