"""Part of the stub of `pilotfish._core`: safety rules. There is no such module at run time."""

from collections.abc import Mapping, Sequence
from typing import final

from pilotfish._core_history import Features as _Features

@final
class RuleSet:
    """Rules in the Common Expression Language (CEL), each of which must be true for a module to be allowed.

    Which values an expression may read, and what is an error, is in `rust_core/README.md`, section Rules. A rule that
    cannot be evaluated, for whatever reason, counts as violated. The handle never changes: use it from any thread.
    """

    def __new__(cls, rules: Sequence[tuple[str, str]]) -> RuleSet:
        """Compile the rules.

        Args:
            rules: Pairs (id, expression), at most 64; ids are not empty and differ; an expression has at most 4096
                bytes and 64 levels.

        Raises:
            InvalidInputError: A limit is exceeded, or an expression is not CEL or names what is not there. The message
                has the rule's id, its expression and what is wrong with it.
        """

    @property
    def ids(self) -> list[str]:
        """The ids, in the order in which they were given."""

    def violations(
        self,
        task: Mapping[str, object],
        modules: Sequence[tuple[str, _Features, Sequence[str], int | None]],
        decision: Mapping[str, object],
    ) -> list[int]:
        """Find the first violated rule of each module.

        Only what the rules read is looked at. What is absent or of another type than stated violates the rules that
        read it; nothing of the content is refused. The interpreter's lock is held throughout.

        Args:
            task: `type` and `description` (texts), `features` (mapping of numbers, texts, flags and lists of numbers),
                `required_capabilities` (sequence of texts), `data_size_bytes` (whole number or None), `priority`
                (whole number), `deadline_s` (number or None), `attempt` (whole number), `idempotent` and `critical`
                (flags). Absent sizes and deadlines are None.
            modules: Tuples (name, features, capabilities, greatest data size in bytes or None).
            decision: `mode`, `policy_share`, `baseline`, `hour`, `weekday`, `unit_id`; other keys are not read.

        Returns:
            For each module the place of the first violated rule, −1 if there is none.

        Raises:
            InvalidInputError: An argument, a module or its features are of another shape than stated.
        """

    def __len__(self) -> int: ...
