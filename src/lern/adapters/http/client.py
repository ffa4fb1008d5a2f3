"""Calls of the platform's HTTP services: pooled connections, time limits, and answers sorted into yes, no and not now."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from lern.errors import LernError, Refused, Unavailable

if TYPE_CHECKING:
    import httpx

_CONNECT_SECONDS = 2.0

_NOT_NOW = {408, 425, 429}
"""Statuses that are no refusal, though they begin with 4."""

_NOT_FOUND = 404

_WORD = re.compile(r"[A-Z][A-Z0-9_]{2,63}")
"""An error word of the platform. Only such a word is repeated: free text could hold what was asked about a person."""


class HttpService:
    """One service under one base URL, on connections that are kept. Threads may share it.

    `name` stands in errors; `patience` is how many seconds the service may be silent while it is sent to or read
    from. Proxies and `.netrc` of the environment are left alone: these services are neighbours. Redirects are not
    followed, and nothing is tried twice here: whoever calls holds its work back and comes again.
    """

    def __init__(
        self, name: str, base: str, headers: Mapping[str, str] | None = None, *, patience: float = 10.0
    ) -> None:
        import httpx  # noqa: PLC0415  # not every installation calls a service, and this costs memory

        self._name = name
        self._failure = httpx.RequestError
        self._client = httpx.Client(
            base_url=base.rstrip("/"),
            headers=dict(headers or {}),
            timeout=httpx.Timeout(patience, connect=_CONNECT_SECONDS),
            trust_env=False,
        )

    def post(self, path: str, body: object) -> bytes:
        """The body of the answer to `body`, sent as JSON.

        Raises Unavailable when no answer came, or one that says nothing about the question (5xx, 3xx, too many
        requests); and Refused when the answer is a no (the other 4xx).
        """
        headers = {"Content-Type": "application/json"}
        answer = self._answer("POST", path, content=msgspec.json.encode(body), headers=headers)
        if not answer.is_success:
            raise self._rejection(answer)
        return answer.content

    def find(self, path: str) -> bytes | None:
        """The body of the answer to a GET, None when there is no such thing (404). Raises as `post` does."""
        answer = self._answer("GET", path)
        if answer.status_code == _NOT_FOUND:
            return None
        if not answer.is_success:
            raise self._rejection(answer)
        return answer.content

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def _answer(
        self,
        method: str,
        path: str,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        try:
            return self._client.request(method, path, content=content, headers=headers)
        except self._failure as error:
            raise Unavailable(self._name, type(error).__name__) from error

    def _rejection(self, answer: httpx.Response) -> LernError:
        status = answer.status_code
        if status in _NOT_NOW or not answer.is_client_error:
            seconds = answer.headers.get("Retry-After", "")
            later = f", again in {seconds} s" if seconds.isdecimal() else ""
            return Unavailable(self._name, f"HTTP {status}{later}")
        word = _error_word(answer.content)
        return Refused(f"ERR_{self._name.upper()}_REFUSED", f"{self._name} refused: HTTP {status}{word}")


class _Params(msgspec.Struct):
    err: str | None = None
    errmsg: str | None = None


class _Answer(msgspec.Struct, rename="camel"):
    """What the platform's services say about an error."""

    params: _Params | None = None
    response_code: str | int | None = None


_decode = msgspec.json.Decoder(_Answer, strict=False).decode


def _error_word(body: bytes) -> str:
    try:
        answer = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    params = answer.params or _Params()
    words = (params.err, params.errmsg, answer.response_code)
    return next((f" {word}" for word in words if isinstance(word, str) and _WORD.fullmatch(word)), "")
