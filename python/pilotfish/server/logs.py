"""Log lines: JSON on standard output, text on a terminal. Never contexts or rewards."""

import logging
import sys
import threading
from typing import Any, Final, Literal

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure(level: str = "info", format_: Literal["auto", "json", "text"] = "auto") -> None:
    """Send structlog's and the standard library's records through one renderer to standard output.

    Args:
        level: Least level that is written.
        format_: auto: text on a terminal, JSON elsewhere.
    """
    as_text = format_ == "text" or (format_ == "auto" and sys.stdout.isatty())
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.stdlib.ExtraAdder(),
    ]
    # A stack trace means a bug; plain, because the pretty one prints local variables, and those are contexts.
    renderer: list[Processor] = (
        [
            structlog.dev.ConsoleRenderer(
                colors=sys.stdout.isatty(),
                timestamp_key="time",
                exception_formatter=structlog.dev.plain_traceback,
                pad_event_to=0,
            )
        ]
        if as_text
        else [structlog.processors.format_exc_info, _render_json]
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=_LEVELS[level], force=True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    threading.excepthook = _log_thread_exception


def _render_json(_: WrappedLogger, __: str, event: EventDict) -> str:
    first = {key: event.pop(key) for key in ("time", "level", "event") if key in event}
    return msgspec.json.encode({**first, **event}, enc_hook=str).decode()


def _log_thread_exception(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None:
        name = args.thread.name if args.thread else "unknown"
        info: Any = (args.exc_type, args.exc_value, args.exc_traceback)
        logging.getLogger(__name__).error("thread %s ended by an exception", name, exc_info=info)
