"""What the driver's errors mean for the jobs."""

import cassandra
from cassandra.cluster import NoHostAvailable
from cassandra.connection import ConnectionBusy, ConnectionException, ProtocolError
from cassandra.pool import NoConnectionsAvailable
from cassandra.protocol import ConfigurationException, ErrorMessage, SyntaxException

from lern.errors import LernError, Refused, SettingsError, Unavailable

NAME = "cassandra"

DRIVER_ERRORS = (
    cassandra.DriverException,
    NoHostAvailable,
    ErrorMessage,
    ConnectionException,
    ConnectionBusy,
    ProtocolError,
    NoConnectionsAvailable,
)

_REFUSALS = (
    cassandra.InvalidRequest,
    cassandra.ConfigurationException,
    ConfigurationException,
    SyntaxException,
)

# Cassandra says this instead when it cannot read its own table of roles, as during an outage of some nodes.
_CANNOT_TELL = "Unable to perform authentication"


def translated(error: Exception) -> LernError:
    """Refused when the server understood and said no, Unavailable for all the rest.

    A missing permission is not the fault of an event: were it Refused, every event would become a failed record.
    """
    if isinstance(error, _REFUSALS):
        return Refused("ERR_STORE_REFUSED", f"{NAME} refused: {_sentence(error)}")
    return Unavailable(NAME, describe(error))


def unreachable(error: Exception) -> LernError:
    """Why a connection could not be made: SettingsError for a wrong password, otherwise Unavailable.

    A wrong password does not get right by waiting: events would pile up until somebody looks, and each try counts
    where accounts are locked after too many. So the process ends, and says what is wrong.
    """
    for cause in _causes(error):
        if isinstance(cause, cassandra.AuthenticationFailed) and _CANNOT_TELL not in str(cause):
            return SettingsError(f"lms-cassandra: user and password are not accepted: {_sentence(cause)}")
    return Unavailable(NAME, describe(error))


def describe(error: Exception) -> str:
    """The error in one line; ids may occur in it, values do not."""
    if isinstance(error, NoHostAvailable):
        hosts = [f"{host}: {_sentence(cause)}" for host, cause in _by_host(error)]
        return "; ".join(hosts) or "no node is up"
    if isinstance(error, cassandra.OperationTimedOut):
        return "no answer in time"
    return _sentence(error)


def _causes(error: Exception) -> list[Exception]:
    return [cause for _, cause in _by_host(error)] if isinstance(error, NoHostAvailable) else [error]


def _by_host(error: NoHostAvailable) -> list[tuple[str, Exception]]:
    errors = error.errors
    return (
        [(str(getattr(host, "endpoint", host)), cause) for host, cause in errors.items()]
        if isinstance(errors, dict)
        else []
    )


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
