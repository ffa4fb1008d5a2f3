"""How the program speaks on standard error: readable lines on a terminal, JSON lines elsewhere."""

import logging
import os
import sys

import structlog

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure_logs(usual: str) -> None:
    """Sets up structlog by `LERN_LOG_LEVEL` (debug, info, warning, error), or else with the usual level."""
    level = LEVELS.get(os.environ.get("LERN_LOG_LEVEL", usual).lower(), LEVELS[usual])
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if sys.stderr.isatty():
        renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        processors.append(renderer)
    else:
        processors += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    # The driver prints a stack trace for each node that is down; the adapter tells of that in one line.
    logging.getLogger("cassandra").setLevel(logging.CRITICAL)
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
