"""Waiting for a server that has just come back."""

import time
from collections.abc import Callable

from lern.errors import Unavailable


def within(seconds: float, call: Callable[[], object]) -> None:
    """Repeats a call as long as it raises Unavailable, but not longer than this."""
    begun = time.monotonic()
    while True:
        try:
            call()
        except Unavailable:
            assert time.monotonic() - begun < seconds
            time.sleep(0.1)
        else:
            return
