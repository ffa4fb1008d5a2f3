"""The embedded profile, put together."""

from collections.abc import Mapping

from lern.adapters.embedded import Embedded
from lern.bootstrap.topics import missing_topics
from lern.monitoring.server import Probes
from lern.ports import Facts, Log, Platform, Replays, Stores, Upkeep
from lern.settings.model import JobSettings


class EmbeddedInstallation:
    """Implements `Installation` on one SQLite file."""

    def __init__(self, settings: Mapping[str, JobSettings]) -> None:
        self._settings = settings
        embedded = next(iter(settings.values())).embedded
        self._embedded = Embedded(embedded.file, embedded.partitions, embedded.retention_days)

    def facts(self, settings: JobSettings) -> Facts:  # noqa: ARG002  # the same for all jobs
        """As `Installation.facts`."""
        return self._embedded.facts()

    def stores(self, settings: JobSettings) -> Stores:
        """As `Installation.stores`; takes the file for this process."""
        self._embedded.occupy()
        return self._embedded.stores(settings)

    def platform(self, settings: JobSettings, *, observe: bool = False) -> Platform:
        """As `Installation.platform`; running (not observing) takes the file for this process."""
        if not observe:
            self._embedded.occupy()
        return Platform(
            facts=self.facts(settings),
            stores=self._embedded.stores(settings),
            journal=None,
            consumer=self._embedded.consumer(settings.topics.input, settings.group, observe=observe),
            transaction=self._embedded.transaction,
        )

    def upkeep(self, settings: JobSettings, *, observe: bool = False) -> Upkeep:
        """As `Installation.upkeep`; changing (not observing) takes the file for this process."""
        if not observe:
            self._embedded.occupy()
        return Upkeep(
            facts=self.facts(settings),
            directory=self._embedded.directory(),
            stores=self._embedded.stores(settings),
            journal=None,
            log=self._embedded.log(),
            transaction=self._embedded.transaction,
        )

    def log(self) -> Log:
        """As `Installation.log`."""
        return self._embedded.log()

    def replays(self, settings: JobSettings) -> Replays:
        """As `Installation.replays`."""
        return self._embedded.replays(settings.topics.failed)

    def probes(self) -> Probes:
        """There is nothing to wait for beside the file itself."""
        return {"sqlite": self._embedded.available}

    def schema_differences(self) -> list[str]:
        """As `Installation.schema_differences`; tables are created when the file is."""
        return [f"topic {topic} is missing" for topic in missing_topics(self._embedded.log(), self._settings)]

    def create_schema(self, replication: int, partitions: int) -> list[str]:  # noqa: ARG002  # one file, one copy
        """As `Installation.create_schema`."""
        missing = missing_topics(self._embedded.log(), self._settings)
        self._embedded.log().create(missing, partitions)
        return [f"topic {topic}" for topic in missing]

    def close(self) -> None:
        """As `Installation.close`."""
        self._embedded.close()
