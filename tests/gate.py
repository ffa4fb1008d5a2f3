"""A door in front of a real Cassandra, for all that can happen to a connection."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from enum import Enum
from struct import Struct

_HEADER = Struct(">BBhBI")
"""Of a frame of protocol version 4: version, flags, stream, opcode, length of what follows."""


def _text(value: str) -> bytes:
    """A string as the protocol has it."""
    return len(value).to_bytes(2) + value.encode()


class Gate:
    """Stands between driver and server: lets everything through, nothing, or answers as a server with passwords."""

    class Mode(Enum):
        OPEN = "open"
        STALLED = "stalled"
        CLOSED = "closed"
        LOCKED = "locked"

    def __init__(self, server: tuple[str, int], tls: ssl.SSLContext | None = None) -> None:
        self._server = server
        self._tls = tls
        self._mode = Gate.Mode.OPEN
        self.refusal = ""
        self._sockets: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread(self._accept)

    @property
    def mode(self) -> "Gate.Mode":
        return self._mode

    @mode.setter
    def mode(self, mode: "Gate.Mode") -> None:
        """What becomes of new connections; those that are there end, unless they stall."""
        self._mode = mode
        if mode is not Gate.Mode.STALLED:
            self._hang_up()

    def end(self) -> None:
        """Hangs up, and listens no more."""
        self._mode = Gate.Mode.CLOSED
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._hang_up()

    def _hang_up(self) -> None:
        for each in list(self._sockets):
            self._close(each)

    def _close(self, each: socket.socket) -> None:
        self._sockets.discard(each)
        with contextlib.suppress(OSError):  # the other side was quicker
            each.shutdown(socket.SHUT_RDWR)
        each.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                client = self._tls.wrap_socket(client, server_side=True) if self._tls else client
            except OSError:
                continue  # the driver does not trust the certificate
            self._sockets.add(client)
            if self._mode is Gate.Mode.CLOSED:
                self._close(client)
            elif self._mode is Gate.Mode.LOCKED:
                self._thread(self._refuse, client)
            else:
                server = socket.create_connection(self._server)
                self._sockets.add(server)
                self._thread(self._copy, client, server)
                self._thread(self._copy, server, client)

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):  # hung up
            while data := source.recv(65536):
                while self._mode is Gate.Mode.STALLED:
                    time.sleep(0.01)
                sink.sendall(data)
        self._close(source)
        self._close(sink)

    def _refuse(self, client: socket.socket) -> None:
        """compression is none, STARTUP asks for a password, and every password is wrong."""
        answers = {
            5: (
                6,
                b"\0\2" + _text("CQL_VERSION") + b"\0\1" + _text("3.4.0") + _text("COMPRESSION") + b"\0\0",
            ),
            1: (3, _text("org.apache.cassandra.auth.PasswordAuthenticator")),
            15: (0, (0x100).to_bytes(4) + _text(self.refusal)),
        }
        with contextlib.suppress(OSError):  # hung up
            while header := client.recv(_HEADER.size, socket.MSG_WAITALL):
                _, _, stream, opcode, length = _HEADER.unpack(header)
                client.recv(length, socket.MSG_WAITALL)
                answer, body = answers[opcode]
                client.sendall(_HEADER.pack(0x84, 0, stream, answer, len(body)) + body)
        self._close(client)

    @staticmethod
    def _thread(function: Callable[..., None], *arguments: object) -> None:
        threading.Thread(target=function, args=arguments, daemon=True).start()
