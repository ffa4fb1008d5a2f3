"""Settings: typed, complete and checked before anything starts.

`load` reads them, `reference` describes them. The types are in `lern.settings.model`.
"""

from lern.settings.loading import Loaded, load
from lern.settings.model import JobSettings, Profile
from lern.settings.reference import reference
from lern.settings.resolve import Origin

__all__ = ["JobSettings", "Loaded", "Origin", "Profile", "load", "reference"]
