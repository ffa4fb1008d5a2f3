"""The HTTP endpoints of a process: `/healthz`, `/readyz`, `/metrics`."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import msgspec
from prometheus_client import make_wsgi_app

from lern.errors import SettingsError
from lern.monitoring.metrics import JobMonitor, Metrics

Probes = Mapping[str, Callable[[], str | None]]
"""Dependencies by name, each with a cheap question: None, or the reason why it cannot be used."""

_StartResponse = Callable[[str, list[tuple[str, str]]], Any]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
        """Says nothing: probes come every few seconds."""


def serve(
    address: str, metrics: Metrics, monitors: Sequence[JobMonitor], probes: Probes
) -> Callable[[], None]:
    """Serves on `host:port` (or `:port`, all interfaces) in a thread; returns how to end it.

    Raises SettingsError when the address cannot be used.
    """
    host, _, port = address.rpartition(":")
    if ":" not in address or not port.isdigit():
        raise SettingsError(f"--http {address}: expected HOST:PORT")
    prometheus = make_wsgi_app(metrics.registry)

    def application(environ: dict[str, Any], start_response: _StartResponse) -> Iterable[bytes]:
        match environ["PATH_INFO"]:
            case "/metrics":
                answer: Iterable[bytes] = prometheus(environ, start_response)
                return answer
            case "/healthz":
                return _json(start_response, "200 OK", {"status": "ok"})
            case "/readyz":
                state = readiness(monitors, probes)
                status = "200 OK" if state["ready"] else "503 Service Unavailable"
                return _json(start_response, status, state)
            case _:
                known = ["/healthz", "/readyz", "/metrics"]
                return _json(start_response, "404 Not Found", {"error": "not found", "paths": known})

    try:
        server = make_server(host or "0.0.0.0", int(port), application, _Server, _Quiet)  # noqa: S104  # the operator asks for it
    except (OSError, OverflowError) as error:
        raise SettingsError(f"--http {address}: {error}") from error
    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()

    def stop() -> None:
        server.shutdown()
        server.server_close()

    return stop


def readiness(monitors: Sequence[JobMonitor], probes: Probes) -> dict[str, Any]:
    """Whether all jobs can work, and which dependency keeps them from it."""
    dependencies = {name: probe() for name, probe in probes.items()}
    waiting = {monitor.job: str(monitor.waits_for) for monitor in monitors if monitor.waits_for}
    return {
        "ready": not waiting and not any(dependencies.values()),
        "dependencies": {name: reason or "up" for name, reason in dependencies.items()},
        "jobs": {monitor.job: waiting.get(monitor.job, "running") for monitor in monitors},
    }


def _json(start_response: _StartResponse, status: str, body: object) -> list[bytes]:
    start_response(status, [("Content-Type", "application/json")])
    return [msgspec.json.encode(body)]
