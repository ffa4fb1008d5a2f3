"""Topic `coursebatch.job.request`: what a learner has done, and requests to compute progress again."""

from typing import NamedTuple

from lern.domain.model import ContentId, EnrolmentKey, Status
from lern.job import Skipped
from lern.wire.decoding import Batch, Content, Course, Decode, Incoming, User, action_decoder, decoder


class _Content(Incoming):
    content_id: Content
    status: int


class _Target(Incoming):
    user_id: User
    course_id: Course
    batch_id: Batch

    @property
    def enrolment(self) -> EnrolmentKey:
        return EnrolmentKey(self.user_id, self.course_id, self.batch_id)


class _Contents(_Target):
    contents: list[_Content]


class _Update(Incoming):
    edata: _Contents


class Sync(Incoming):
    """A request that names one enrolment and says no more."""

    edata: _Target


class UpdateEvent(NamedTuple):
    """`batch-enrolment-update`: contents that a learner has completed, as often as they are named."""

    enrolment: EnrolmentKey
    completed: list[ContentId]


class SyncEvent(NamedTuple):
    """`batch-enrolment-sync`, `user-enrolment-sync`: compute the progress again from what is stored."""

    enrolment: EnrolmentKey


_by_action: dict[str, Decode[_Update | Sync]] = {
    "batch-enrolment-update": decoder(_Update),
    "batch-enrolment-sync": decoder(Sync),
}
_read = action_decoder(_by_action)


def decode(value: bytes) -> UpdateEvent | SyncEvent | Skipped:
    """Reads one message; other actions, and updates without a completed content, are skipped."""
    event = _read(value)
    if isinstance(event, Skipped):
        return event
    if isinstance(event, Sync):
        return SyncEvent(event.edata.enrolment)
    completed = [each.content_id for each in event.edata.contents if each.status == Status.COMPLETED]
    return UpdateEvent(event.edata.enrolment, completed) if completed else Skipped("nothing completed")
