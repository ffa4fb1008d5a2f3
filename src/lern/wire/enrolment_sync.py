"""Topic `batch.enrolment.sync.request`: a learner, or an operator, says that the progress shown is wrong."""

from lern.job import Skipped
from lern.wire.course_batch import Sync, SyncEvent
from lern.wire.decoding import action_decoder, decoder

_read = action_decoder({"user-enrolment-sync": decoder(Sync)})


def decode(value: bytes) -> SyncEvent | Skipped:
    """Reads one message; other actions are skipped."""
    event = _read(value)
    return event if isinstance(event, Skipped) else SyncEvent(event.edata.enrolment)
