"""One learner's case: what is stored, what it should be, and what would mend it; a pure reading of facts."""

from lern.explaining.evidence import Evidence, gather
from lern.explaining.report import Fact, Report, Section, State, report
from lern.explaining.verdicts import Code, Verdict, verdicts

__all__ = [
    "Code",
    "Evidence",
    "Fact",
    "Report",
    "Section",
    "State",
    "Verdict",
    "gather",
    "report",
    "verdicts",
]
