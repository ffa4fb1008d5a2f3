"""Each server is down for twenty seconds in the middle of a steady stream: nothing is lost, doubled or given up."""

import time
from typing import TYPE_CHECKING

import pytest
from tests.conformance.conftest import NewSite
from tests.conformance.load import Feed, Load, Outcome
from tests.conformance.process import Running
from tests.conformance.servers import eventually
from tests.conformance.site import ACTIVITY

if TYPE_CHECKING:
    from tests.conftest import Outage

_DOWN_SECONDS = 20.0


@pytest.mark.timeout(400)
@pytest.mark.parametrize("server", ["redis", "kafka", "cassandra"])
def test_an_outage_is_waited_out(
    new_site: NewSite, undisturbed: Outcome, outage: "Outage", server: str
) -> None:
    site = new_site({"threshold.batch.read.size": "1"})
    load = Load(site)
    load.prepare()
    with Running(site, [ACTIVITY]) as running, Feed(load, 100) as feed:
        enough = eventually(lambda: running.counts(ACTIVITY).get("total", 0), lambda total: total > 200)
        assert enough > 200
        outage.stop(server)
        stopped = time.monotonic()
        status, state = eventually(
            running.ready,
            lambda found: (
                found[0] == 503
                and any(server in str(name) and how != "up" for name, how in found[1]["dependencies"].items())
            ),
            _DOWN_SECONDS,
        )
        assert status == 503, state
        assert server in state["jobs"][ACTIVITY] or server in str(state["dependencies"])
        told_after = time.monotonic() - stopped
        time.sleep(max(0.0, stopped + _DOWN_SECONDS - time.monotonic()))
        assert running.alive
        assert running.get("/healthz")[0] == 200
        assert running.ready()[0] == 503
        assert running.counts(ACTIVITY)["total"] < len(load.events)
        outage.start(server)
        site.servers.wait_for_cassandra()
        feed.wait()
        site.settle(seconds=90)
        assert running.alive
        assert eventually(running.ready, lambda found: found[0] == 200)[0] == 200
        assert running.counts(ACTIVITY)["total"] >= len(load.events)
        assert "failed" not in running.counts(ACTIVITY)
        assert "Traceback" not in running.errors
    assert told_after < 15
    assert load.seen() == undisturbed
