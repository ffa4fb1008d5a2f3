"""Encrypted connections: a door with TLS in front of a real Redis."""

import asyncio
import ssl
import subprocess
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from queue import Queue

import pytest

from lern.adapters.redis import RedisMarks, RelationSets
from lern.domain.model import CourseId, Relation, RelationKey
from lern.errors import Unavailable
from lern.settings.model import RedisSettings, Tls


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority (`ca`), and certificates of a server, of another host's server and of a client."""
    folder = tmp_path_factory.mktemp("certificates")
    key = "-newkey rsa:2048 -nodes"
    _openssl(folder, f"req -x509 {key} -days 2 -subj /CN=authority -keyout ca.key -out ca.pem")
    for name, host in (
        ("server", "IP:127.0.0.1"),
        ("stranger", "DNS:stranger.test"),
        ("client", "DNS:client.test"),
    ):
        (folder / f"{name}.ext").write_text(f"subjectAltName={host}")
        _openssl(folder, f"req {key} -subj /CN={name} -keyout {name}.key -out {name}.csr")
        signed = f"-CA ca.pem -CAkey ca.key -CAcreateserial -extfile {name}.ext -days 2"
        _openssl(folder, f"x509 -req -in {name}.csr {signed} -out {name}.pem")
    return folder


def _openssl(folder: Path, arguments: str) -> None:
    subprocess.run(["openssl", *arguments.split()], cwd=folder, check=True, capture_output=True)


@contextmanager
def door(redis_address: str, certificates: Path, name: str = "server") -> Iterator[RedisSettings]:
    """Lets clients with a certificate in to Redis, shows the certificate `name`; the settings of such a client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / f"{name}.pem", certificates / f"{name}.key")
    context.load_verify_locations(certificates / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    host, _, redis_port = redis_address.rpartition(":")

    ports: Queue[int] = Queue()
    stop = threading.Event()

    async def carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                target.write(data)
        finally:
            target.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, questions = await asyncio.open_connection(host, int(redis_port))
        await asyncio.gather(carry(reader, questions), carry(answers, writer), return_exceptions=True)

    async def listen() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
            ports.put(server.sockets[0].getsockname()[1])
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=lambda: asyncio.run(listen()))
    thread.start()
    tls = Tls(True, certificates / "ca.pem", certificates / "client.pem", certificates / "client.key")
    try:
        yield RedisSettings("127.0.0.1", ports.get(timeout=10), database=13, tls=tls)
    finally:
        stop.set()
        thread.join()


def test_everything_works_over_an_encrypted_connection(redis_address: str, certificates: Path) -> None:
    mark = uuid.uuid4().hex.upper()
    key = RelationKey(CourseId(mark), mark, Relation.LEAF_NODES)
    with door(redis_address, certificates) as settings:
        marks, sets = RedisMarks(settings, 60), RelationSets(settings)

        marks.mark([mark])

        assert set(marks.seen([mark])) == {mark}
        assert [sets.members([key]) for _ in range(2)] == [{key: frozenset()}] * 2
        assert sets.hits == 1
        marks.close()
        sets.close()


def test_a_server_with_the_certificate_of_another_host_is_not_talked_to(
    redis_address: str, certificates: Path
) -> None:
    wrong = pytest.raises(Unavailable, match=r"redis: .*certificate is not valid for '127.0.0.1'")
    with door(redis_address, certificates, "stranger") as settings, wrong:
        RedisMarks(settings, 60).seen(["A"])


def test_a_server_whose_authority_is_not_known_is_not_talked_to(
    redis_address: str, certificates: Path
) -> None:
    with door(redis_address, certificates) as settings:
        public = replace(settings, tls=replace(settings.tls, ca=None))
        with pytest.raises(Unavailable, match=r"redis: .*certificate verify failed"):
            RedisMarks(public, 60).seen(["A"])


def test_without_the_certificate_that_the_server_asks_for_redis_is_unavailable(
    redis_address: str, certificates: Path
) -> None:
    with door(redis_address, certificates) as settings:
        anonymous = replace(settings, tls=replace(settings.tls, certificate=None, key=None))
        with pytest.raises(Unavailable, match="redis: "):
            RedisMarks(anonymous, 60).seen(["A"])
