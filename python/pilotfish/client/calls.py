"""What the blocking and the asyncio client have in common: everything but the waiting."""

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from os import PathLike
from time import monotonic
from typing import Any, Generic, TypeVar

import grpc
from google.protobuf.message import Message

from pilotfish import v1
from pilotfish.client.channel import Wire, rpc_timeout_s
from pilotfish.client.circuit import Circuit, CircuitSettings
from pilotfish.client.decision import Decision
from pilotfish.client.exchange import RECORD_OUTCOME, RECORD_OUTCOMES, SELECT_MODULE, SELECT_MODULES, Exchange
from pilotfish.client.features import Features
from pilotfish.client.fork import forget_in_child
from pilotfish.client.local_default import CIRCUIT_OPEN, SIDECAR_UNAVAILABLE
from pilotfish.client.module import Candidate
from pilotfish.client.refusal import refusal_of_rpc
from pilotfish.client.request import outcome_request, select_request
from pilotfish.client.target import resolve_target
from pilotfish.exceptions import InvalidInputError, StateError

DecisionT = TypeVar("DecisionT")
DecisionsT = TypeVar("DecisionsT")
ReceiptT = TypeVar("ReceiptT")
ReceiptsT = TypeVar("ReceiptsT")

_BATCH_EXTRA_MS_PER_ENTRY = 1.0


class Calls(ABC, Generic[DecisionT, DecisionsT, ReceiptT, ReceiptsT]):
    """The methods of a client. Those of an AsyncClient are awaited, those of a Client return at once.

    No call raises because of the sidecar: if it is absent, slow or broken, a decision is the local default, marked as
    such, within its deadline, and an outcome's receipt is not acknowledged. What raises is a wrong request.

    Args:
        target: `unix:/path`, a socket's path, or `host:port`. None: PILOTFISH_TARGET, else the default socket.
        deadline_ms: How long a decision may take, retries included.
        outcome_deadline_ms: How long the recording of an outcome may take, retries included.
        circuit: When to stop asking a sidecar that does not answer.
        raise_on_fallback: Raise StateError where the local default or an unacknowledged receipt would be returned
            because the sidecar gave no answer.

    Raises:
        InvalidInputError: The target or a number is wrong.
    """

    def __init__(
        self,
        target: str | PathLike[str] | None = None,
        *,
        deadline_ms: float = 20.0,
        outcome_deadline_ms: float = 1000.0,
        circuit: CircuitSettings | None = None,
        raise_on_fallback: bool = False,
    ) -> None:
        self.target = resolve_target(target)
        self._deadline_ms = _checked_ms("deadline_ms", deadline_ms)
        self._outcome_deadline_ms = _checked_ms("outcome_deadline_ms", outcome_deadline_ms)
        self._circuit_settings = circuit or CircuitSettings()
        self._raise_on_fallback = raise_on_fallback
        self._is_closed = False
        self._wire: Wire | None = None
        self.forget_inherited()
        forget_in_child(self)

    def select_module(
        self,
        task_type: str,
        *,
        candidates: Sequence[Candidate],
        description: str = "",
        features: Features | None = None,
        priority: int = 0,
        data_size_bytes: int | None = None,
        task_deadline_s: float | None = None,
        required_capabilities: Sequence[str] = (),
        signal_weights: Mapping[str, float] | None = None,
        baseline_module: str = "",
        unit_id: str = "",
        request_id: str | None = None,
        allowed_modules: Sequence[str] = (),
        denied_modules: Sequence[str] = (),
        attempt: int = 1,
        non_idempotent: bool = False,
        critical: bool = False,
        explain: bool = False,
        deadline_ms: float | None = None,
    ) -> DecisionT:
        """Ask which module should take a task.

        Without an answer in time the decision is `baseline_module` if it is legal, else the first legal candidate.
        `select_request` explains the arguments; `deadline_ms` is how long this decision may take.

        Raises:
            InvalidInputError: The request breaks a stated rule.
            StateError: No candidate is legal, or the client is closed.
            ConflictError: The request_id was used with another request.
        """
        request = select_request(
            task_type,
            candidates=candidates,
            description=description,
            features=features,
            priority=priority,
            data_size_bytes=data_size_bytes,
            task_deadline_s=task_deadline_s,
            required_capabilities=required_capabilities,
            signal_weights=signal_weights,
            baseline_module=baseline_module,
            unit_id=unit_id,
            request_id=request_id,
            allowed_modules=allowed_modules,
            denied_modules=denied_modules,
            attempt=attempt,
            non_idempotent=non_idempotent,
            critical=critical,
            explain=explain,
        )
        return self.select(request, deadline_ms=deadline_ms)

    def select(self, request: v1.SelectModuleRequest, *, deadline_ms: float | None = None) -> DecisionT:
        """Send a request in the contract's own words. See `select_module`."""
        result: DecisionT = self._run(SELECT_MODULE, request, _chosen_ms(deadline_ms, self._deadline_ms))
        return result

    def select_modules(
        self, requests: Sequence[v1.SelectModuleRequest], *, deadline_ms: float | None = None
    ) -> DecisionsT:
        """Ask for up to 256 decisions at once; `select_request` makes the requests.

        Args:
            requests: The requests.
            deadline_ms: How long the whole batch may take. None: the client's plus 1 ms for each further request.

        Returns:
            As many results in the same order. A bad request's result is the exception that it would have raised by
            itself; the others are decided.

        Raises:
            InvalidInputError: More than 256 requests.
        """
        batch = v1.BatchSelectModulesRequest(requests=requests)
        allowance_ms = self._deadline_ms + _BATCH_EXTRA_MS_PER_ENTRY * max(len(requests) - 1, 0)
        result: DecisionsT = self._run(SELECT_MODULES, batch, _chosen_ms(deadline_ms, allowance_ms))
        return result

    def record_outcome(
        self,
        decision: Decision | str,
        *,
        completion: float | None = None,
        latency_ms: float | None = None,
        cost_usd: float | None = None,
        quality: float | None = None,
        retry_count: float | None = None,
        recovery: float | None = None,
        satisfaction: float | None = None,
        served_module: str = "",
        lower_bounds: Collection[str] = (),
        deadline_ms: float | None = None,
    ) -> ReceiptT:
        """Report what happened after a decision: any subset of the signals, in any number of calls.

        A repetition is harmless. Nothing is sent for a decision without an id. `outcome_request` explains the
        arguments; `deadline_ms` is how long this call may take.

        Raises:
            InvalidInputError: The outcome breaks a stated rule.
            NotFoundError: There is no such decision.
            ConflictError: A signal is on record with another value.
            StateError: The client is closed.
        """
        request = outcome_request(
            decision,
            completion=completion,
            latency_ms=latency_ms,
            cost_usd=cost_usd,
            quality=quality,
            retry_count=retry_count,
            recovery=recovery,
            satisfaction=satisfaction,
            served_module=served_module,
            lower_bounds=lower_bounds,
        )
        return self.record(request, deadline_ms=deadline_ms)

    def record(self, request: v1.RecordOutcomeRequest, *, deadline_ms: float | None = None) -> ReceiptT:
        """Send an outcome in the contract's own words, such as one by request_id. See `record_outcome`."""
        result: ReceiptT = self._run(RECORD_OUTCOME, request, _chosen_ms(deadline_ms, self._outcome_deadline_ms))
        return result

    def record_outcomes(
        self, requests: Sequence[v1.RecordOutcomeRequest], *, deadline_ms: float | None = None
    ) -> ReceiptsT:
        """Report up to 1,024 outcomes at once; `outcome_request` makes the requests.

        Args:
            requests: The outcomes.
            deadline_ms: How long the whole batch may take. None: the client's for outcomes plus 1 ms for each
                further one.

        Returns:
            As many results in the same order. A bad outcome's result is the exception that it would have raised by
            itself; the others are recorded.

        Raises:
            InvalidInputError: More than 1,024 outcomes.
        """
        batch = v1.BatchRecordOutcomesRequest(requests=requests)
        allowance_ms = self._outcome_deadline_ms + _BATCH_EXTRA_MS_PER_ENTRY * max(len(requests) - 1, 0)
        result: ReceiptsT = self._run(RECORD_OUTCOMES, batch, _chosen_ms(deadline_ms, allowance_ms))
        return result

    @abstractmethod
    def _run(self, exchange: Exchange[Any, Any, Any], request: Message, deadline_ms: float) -> Any:  # noqa: ANN401 - the result or its awaitable
        """Carry out an exchange, waiting in the twin's own way."""

    def forget_inherited(self) -> Wire | None:
        """Start afresh, in a new client or in a forked child, and return the parent's channel. Not for hubs to call."""
        wire, self._wire = self._wire, None
        self._decision_circuit = Circuit(self._circuit_settings)
        self._outcome_circuit = Circuit(self._circuit_settings)
        return wire

    def _settled(self, exchange: Exchange[Any, Any, Any], request: Message) -> Any:  # noqa: ANN401 - the exchange's result
        """Return the result if there is one without asking the sidecar, else None."""
        if self._is_closed:
            raise StateError("client is closed, must be open")
        settled = exchange.settled(request)
        if settled is not None:
            return settled
        if exchange.is_outcome:
            # A sidecar that gives no decisions takes no outcomes; but if only its log is broken, decisions go on.
            admitted = not self._decision_circuit.is_open and self._outcome_circuit.admits()
        else:
            admitted = self._decision_circuit.admits()
        return None if admitted else self._unanswered(exchange, request, CIRCUIT_OPEN)

    def _answered(self, exchange: Exchange[Any, Any, Any], request: Message, reply: Message) -> Any:  # noqa: ANN401 - the exchange's result
        """Return the result of a call that was answered."""
        self._circuit_of(exchange).succeeded()
        return exchange.read(request, reply)

    def _failed(
        self, exchange: Exchange[Any, Any, Any], request: Message, error: grpc.RpcError, asked_at: float
    ) -> Any:  # noqa: ANN401 - the exchange's result
        """Return the result of a call that failed, or raise what a refused request deserves."""
        refusal, reason = refusal_of_rpc(error, request)
        if refusal is not None:
            self._circuit_of(exchange).succeeded()
            raise refusal from error
        self._circuit_of(exchange).failed(asked_at)
        return self._unanswered(exchange, request, reason.lower() or SIDECAR_UNAVAILABLE, error)

    def _timed_out(self, exchange: Exchange[Any, Any, Any], request: Message, asked_at: float) -> Any:  # noqa: ANN401 - the exchange's result
        """Return the result of a call that gRPC could not carry out or did not end in time."""
        self._circuit_of(exchange).failed(asked_at)
        return self._unanswered(exchange, request, SIDECAR_UNAVAILABLE)

    def _unanswered(
        self, exchange: Exchange[Any, Any, Any], request: Message, why: str, error: grpc.RpcError | None = None
    ) -> Any:  # noqa: ANN401 - the exchange's result
        if self._raise_on_fallback:
            raise StateError(f"no answer from the sidecar at {self.target}: {why}", reason=why.upper()) from error
        return exchange.locally(request, why)

    def _circuit_of(self, exchange: Exchange[Any, Any, Any]) -> Circuit:
        return self._outcome_circuit if exchange.is_outcome else self._decision_circuit


def remaining_s(deadline_ms: float, asked_at: float) -> float:
    """Return what gRPC may spend of a call's deadline; opening the channel in the first call has taken its part."""
    return rpc_timeout_s(deadline_ms, monotonic() - asked_at)


def _chosen_ms(given: float | None, default: float) -> float:
    return default if given is None else _checked_ms("deadline_ms", given)


def _checked_ms(name: str, value: float) -> float:
    if not 0.0 < value < math.inf:
        raise InvalidInputError(f"{name} == {value}, must be a number of milliseconds above 0")
    return value
