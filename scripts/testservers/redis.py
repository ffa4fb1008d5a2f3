"""Redis: one process of the system's redis-server; data is kept in an append-only file."""

from collections.abc import Mapping
from pathlib import Path

from testservers.server import HOST, Server, ask

_CONF = """\
bind {host}
port {client}
dir {folder}
appendonly yes
save ""
"""


class Redis(Server):
    """A Redis that holds what it acknowledged, even when it was killed."""

    name = "redis"
    ports = ("client",)
    program, package = "redis-server", "redis-server"
    start_seconds = 20

    def prepare(self, folder: Path, ports: Mapping[str, int]) -> None:
        (folder / "redis.conf").write_text(_CONF.format(host=HOST, folder=folder, **ports))

    def command(self, folder: Path) -> list[str]:
        return ["redis-server", str(folder / "redis.conf")]

    def ready(self, port: int) -> bool:
        return ask(port, b"PING\r\n", 5) == b"+PONG"
