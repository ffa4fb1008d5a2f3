"""The one place that joins jobs, adapters and an engine."""

import os
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

from lern.engines.guard import Guard
from lern.engines.local import Assignment, ShowPlan
from lern.job import Context
from lern.jobs import JOBS
from lern.monitoring.metrics import JobMonitor, Metrics
from lern.monitoring.server import Probes
from lern.ports import Facts, Log, Platform, Replays, Stores, Upkeep
from lern.settings.model import JobSettings, Profile


class Installation(Protocol):
    """Everything that is behind the ports, opened once for all jobs of a process."""

    def facts(self, settings: JobSettings) -> Facts:
        """What a job may read."""
        ...

    def stores(self, settings: JobSettings) -> Stores:
        """Where a job's outcomes go."""
        ...

    def platform(self, settings: JobSettings, *, observe: bool = False) -> Platform:
        """What an engine needs to run one job; with `observe`, nothing can be changed through its consumer."""
        ...

    def upkeep(self, settings: JobSettings, *, observe: bool = False) -> Upkeep:
        """What a tool needs to do a job's work without its messages; with `observe`, to look alone."""
        ...

    def log(self) -> Log:
        """The topics."""
        ...

    def replays(self, settings: JobSettings) -> Replays:
        """What has been sent again of a job's failed topic."""
        ...

    def probes(self) -> Probes:
        """The dependencies, for `/readyz`."""
        ...

    def schema_differences(self) -> list[str]:
        """What the jobs need and is missing or different: one sentence each, with its name."""
        ...

    def create_schema(self, replication: int, partitions: int) -> list[str]:
        """Creates what is missing and returns what was created; never alters what exists."""
        ...

    def close(self) -> None:
        """Lets go of everything; called once, after all jobs have ended."""
        ...


def install(settings: Mapping[str, JobSettings]) -> Installation:
    """Opens what the settings name. The drivers of a profile are imported only when it is used."""
    profile = next(iter(settings.values())).profile
    if profile is Profile.EMBEDDED:
        from lern.bootstrap.embedded import EmbeddedInstallation  # noqa: PLC0415  # see the docstring

        return EmbeddedInstallation(settings)
    from lern.bootstrap.connected import ConnectedInstallation  # noqa: PLC0415  # see the docstring

    return ConnectedInstallation(settings)


def assignments(
    installation: Installation,
    settings: Mapping[str, JobSettings],
    metrics: Metrics,
    show: ShowPlan | None = None,
) -> list[Assignment]:
    """The jobs, ready for an engine: as many consumers of each as the settings say, in a dry run one."""
    ready = []
    for name, one in settings.items():
        guard = Guard()
        connected = one.profile is Profile.CONNECTED
        ready += [
            Assignment(
                job=JOBS[name],
                platform=installation.platform(one, observe=show is not None),
                context=partial(context, one),
                observer=JobMonitor(name, metrics),
                guard=guard,
                show=show,
            )
            for _ in range(one.threads if connected and not show else 1)
        ]
    return ready


def context(settings: JobSettings) -> Context:
    """A context of now."""
    now = datetime.now(UTC)
    return Context(settings, now.replace(microsecond=now.microsecond // 1000 * 1000), identifiers())


def identifiers() -> Callable[[], str]:
    """A source of random identifiers (UUID version 4); the system is asked for many at once."""
    ready: Iterator[str] = iter(())

    def new_id() -> str:
        nonlocal ready
        for text in ready:
            return text
        block = os.urandom(16 * 128).hex()
        ready = iter([_uuid4(block[at : at + 32]) for at in range(0, len(block), 32)])
        return next(ready)

    return new_id


def _uuid4(digits: str) -> str:
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
