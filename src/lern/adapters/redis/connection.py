"""One connection to one Redis database: commands go out together, answers come back in order.

It stands on the `Connection` of redis-py, below that library's `Redis` and `Pipeline` classes: a pipeline of these
costs several times as much for each command, and puts whole commands, values and all, into the texts of its errors.
"""

import re
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, cast

from hiredis import PushNotification, pack_command
from redis import Connection, SSLConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from lern.errors import LernError, Refused, Unavailable
from lern.settings.model import RedisSettings

Argument = str | bytes | int
Command = tuple[Argument, ...]
"""The name of the command, its key (if it has one), its other arguments."""

MULTI: Command = (b"MULTI",)
EXEC: Command = (b"EXEC",)

# The library's own declaration says that a command is a tuple of one.
pack = cast("Callable[[Command], bytes]", pack_command)

NAME = "redis"
"""The dependency's name in errors."""

_TIMEOUT = 5.0
"""Seconds to wait for a connection, and for the next bytes of an answer."""

_PIECE = 1_000_000
"""Bytes that are sent before the answers to what was sent before them are read: the server works meanwhile."""

_REPEATED = re.compile(r"[`\"]|\s'|[,:]")
"""Where a refusal's text may begin to repeat what it refuses: `unknown command 'X', with args beginning with: ...`."""

_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}


class Wire(Protocol):
    """What is used of redis-py's connections (most of that class has no types of its own)."""

    def connect(self) -> None: ...
    def disconnect(self) -> None: ...
    def send_packed_command(self, command: Sequence[bytes]) -> None: ...
    def read_response(self) -> object: ...


def wire(settings: RedisSettings, *, protocol: int = 2, text: bool = False) -> Wire:
    """A connection of redis-py that is not yet made; with `text`, answers are str in place of bytes."""
    tls = settings.tls
    make: Callable[..., Wire] = SSLConnection if tls.enabled else Connection
    encryption = {
        "ssl_ca_certs": tls.ca and str(tls.ca),
        "ssl_certfile": tls.certificate and str(tls.certificate),
        "ssl_keyfile": tls.key and str(tls.key),
        "ssl_check_hostname": True,
    }
    return make(
        host=settings.host,
        port=settings.port,
        db=settings.database,
        username=settings.username,
        password=settings.password,
        protocol=protocol,
        decode_responses=text,
        encoding_errors="replace",  # one odd byte in a set of ids must not hold everything up
        socket_timeout=_TIMEOUT,
        socket_connect_timeout=_TIMEOUT,
        socket_keepalive=True,
        socket_keepalive_options={
            getattr(socket, name): value for name, value in _KEEPALIVE.items() if hasattr(socket, name)
        },
        lib_name=None,  # saves two commands that servers before 7.2 refuse
        lib_version=None,
        **(encryption if tls.enabled else {}),
    )


class RedisConnection:
    """Made at the first command, and again after it was lost. Threads take turns."""

    def __init__(self, settings: RedisSettings, *, text: bool = False) -> None:
        self._settings = settings
        self._text = text
        self._wire: Wire | None = None
        self._pushed: list[Sequence[object]] = []
        self._lock = threading.Lock()

    def exchange(self, commands: Sequence[Command]) -> list[object]:
        """The answers to `commands`, all of which are sent even when the server refuses one.

        All commands may be sent twice: when the connection proves to be gone, as it may after a time without use,
        they are sent over a new one at once. Any other failure is the caller's to try again.

        Raises Unavailable, and Refused for a command that this server will never carry out.
        """
        with self._lock:
            try:
                answers = self._exchange(commands)
            except RedisError as error:
                raise translated(error) from error
        for command, answer in zip(commands, answers, strict=True):
            if isinstance(answer, ResponseError):
                raise self._refused(answer, command) from answer
            if command == EXEC:
                for inner in cast("list[object]", answer):
                    if isinstance(inner, ResponseError):
                        raise self._refused(inner, command) from inner
        return answers

    def close(self) -> None:
        """Hangs up; a later command connects again."""
        with self._lock:
            self._drop()

    def _refused(self, error: ResponseError, command: Command) -> LernError:
        refusal = translated(error, command)
        if isinstance(refusal, Unavailable):
            self.close()  # a primary that became a replica keeps its connections: a new one finds its successor
        return refusal

    def _exchange(self, commands: Sequence[Command]) -> list[object]:
        if self._wire is not None:
            try:
                return self._converse(self._wire, commands)
            except RedisConnectionError:
                pass  # it may have been cut while nobody used it: a new one tells
        self._wire = self._connect()
        return self._converse(self._wire, commands)

    def _connect(self) -> Wire:
        made = wire(self._settings, text=self._text)
        try:
            made.connect()
        except ResponseError as error:
            raise translated(
                error
            ) from None  # old servers repeat what they refuse, and it may be the password
        return made

    def _converse(self, connected: Wire, commands: Sequence[Command]) -> list[object]:
        """Keeps one piece ahead of the answers: the server is never idle, and what waits is never much."""
        answers: list[object] = []
        try:
            sent = 0
            for count, piece in _pieces(commands):
                connected.send_packed_command([piece])
                self._read(connected, sent - len(answers), answers)
                sent += count
            self._read(connected, sent - len(answers), answers)
        except BaseException:
            self._drop()  # answers to these commands may still come, and must not be taken for others
            raise
        return answers

    def _read(self, connected: Wire, count: int, answers: list[object]) -> None:
        for _ in range(count):
            try:
                while isinstance(answer := connected.read_response(), PushNotification):
                    self._pushed.append(answer)
            except ResponseError as error:
                answers.append(error)
            else:
                answers.append(answer)

    def _drop(self) -> None:
        if self._wire is not None:
            self._wire.disconnect()
            self._wire = None


class RedisProbe:
    """Whether the servers of some databases answer, over connections of its own: it never waits for work."""

    def __init__(self, databases: Iterable[RedisSettings]) -> None:
        self._connections = [RedisConnection(settings) for settings in dict.fromkeys(databases)]

    def available(self) -> str | None:
        """None, or what is wrong in one line. Takes as long as a timeout at most for each database."""
        for connection in self._connections:
            try:
                connection.exchange([(b"PING",)])
            except LernError as error:
                return str(error)
        return None

    def close(self) -> None:
        """Hangs up."""
        for connection in self._connections:
            connection.close()


def translated(error: RedisError, command: Command = ()) -> LernError:
    """Refused only for what lies in one key alone; a server that refuses everything is not available."""
    if not isinstance(error, ResponseError) or isinstance(error, NoPermissionError):
        return Unavailable(NAME, str(error) or type(error).__name__)
    what = " ".join(_shown(argument) for argument in command[:2]) or "the connection"
    why = _REPEATED.split(str(error), maxsplit=1)[0].strip()
    if why.startswith("WRONGTYPE"):
        return Refused("ERR_CACHE_REFUSED", f"{NAME} refused {what}: {why}")
    return Unavailable(NAME, f"refused {what}: {why or type(error).__name__}")


def _pieces(commands: Sequence[Command]) -> Iterator[tuple[int, bytes]]:
    """Packed commands, and how many of them are in the piece."""
    piece: list[bytes] = []
    size = 0
    for command in commands:
        packed = pack(command)
        piece.append(packed)
        size += len(packed)
        if size >= _PIECE:
            yield len(piece), b"".join(piece)
            piece, size = [], 0
    if piece:
        yield len(piece), b"".join(piece)


def _shown(argument: Argument) -> str:
    return argument.decode(errors="replace") if isinstance(argument, bytes) else str(argument)
