"""What a setting is, and the jobs that have settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from lern.settings.values import Kind

MERGE = "merge-user-courses"
RELATIONS = "relation-cache-updater"
ACTIVITY = "activity-aggregate-updater"
ASSESSMENT = "assessment-aggregator"
RECONCILIATION = "enrolment-reconciliation"
PRE_PROCESSOR = "collection-cert-pre-processor"
GENERATOR = "collection-certificate-generator"

ALL_JOBS = (MERGE, RELATIONS, ACTIVITY, ASSESSMENT, RECONCILIATION, PRE_PROCESSOR, GENERATOR)
JOBS = (RELATIONS, ACTIVITY, ASSESSMENT, RECONCILIATION, MERGE)
"""The jobs that have settings so far."""
ONLY_RELATIONS = (RELATIONS,)
ONLY_ACTIVITY = (ACTIVITY,)
ONLY_ASSESSMENT = (ASSESSMENT,)
ONLY_MERGE = (MERGE,)
PROGRESS = (ACTIVITY, RECONCILIATION)
"""Those that compute progress."""
ROWS = (ACTIVITY, ASSESSMENT, RECONCILIATION, MERGE)
"""Those that write rows of learners."""


@dataclass(frozen=True, slots=True)
class Key:
    """One setting.

    `default` may hold `{env}` (the value of `job.env`) and `{other.key}` (the value of that key); one a job where the
    jobs differ; None: not set. `optional`: an empty value is taken as not set. `required`: must be set in the connected
    profile.
    """

    name: str
    kind: Kind
    default: str | Mapping[str, str] | None
    help: str
    jobs: tuple[str, ...] = JOBS
    aliases: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    optional: bool = False
    required: bool = False

    def default_for(self, job: str) -> str | None:
        """The default of one job, placeholders still in it."""
        return (
            self.default if self.default is None or isinstance(self.default, str) else self.default.get(job)
        )

    @property
    def spellings(self) -> tuple[str, ...]:
        """Every name the key goes by, its own first."""
        return (self.name, *self.aliases)


def variable(name: str) -> str:
    """The environment variable of a key."""
    return "LERN_" + name.replace(".", "_").replace("-", "_").upper()


def by_job(**defaults: str) -> Mapping[str, str]:
    """A default for each job (`-` in the job's name written as `_`)."""
    return MappingProxyType({job.replace("_", "-"): default for job, default in defaults.items()})
