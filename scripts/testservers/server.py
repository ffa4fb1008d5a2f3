"""What all servers have in common."""

import socket
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from testservers.fetch import Jars, require

HOST = "127.0.0.1"


class Server(ABC):
    """How one kind of server is set up, started and asked whether it is ready.

    `ports` are the names of the ports it listens on; clients connect to the one named `client`.
    `program` is the program it needs, `package` the Debian package that has it.
    """

    name: ClassVar[str]
    ports: ClassVar[tuple[str, ...]]
    program: ClassVar[str]
    package: ClassVar[str]
    jars: ClassVar[Jars | None] = None
    start_seconds: ClassVar[float]

    @property
    def variable(self) -> str:
        """The environment variable that holds the server's address."""
        return f"LERN_TEST_{self.name.upper()}"

    def fetch(self) -> None:
        """Get what the server needs, once for all checkouts."""
        require({self.program: self.package})
        if self.jars:
            self.jars.fetch()

    @abstractmethod
    def prepare(self, folder: Path, ports: Mapping[str, int]) -> None:
        """Write configuration and empty data into a new folder."""

    @abstractmethod
    def command(self, folder: Path) -> list[str]:
        """The command that runs the server in the foreground on what `prepare` wrote."""

    @abstractmethod
    def ready(self, port: int) -> bool:
        """Whether the server answers a client now."""


def ask(port: int, request: bytes, size: int) -> bytes:
    """Send a request to a port of this machine and return the first `size` bytes of the answer.

    Nothing is returned when there is no answer, fewer bytes when the answer ends early.
    """
    answer = b""
    try:
        with socket.create_connection((HOST, port), timeout=2) as connection:
            connection.sendall(request)
            while len(answer) < size and (more := connection.recv(size - len(answer))):
                answer += more
    except OSError:
        return b""
    return answer
