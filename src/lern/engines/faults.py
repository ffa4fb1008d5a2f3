"""What a log may say of a fault in the program itself."""

import traceback


def where(fault: BaseException) -> dict[str, object]:
    """The kind of a fault and where it happened; never its text, which may hold anything of an event."""
    frames = traceback.extract_tb(fault.__traceback__)
    return {
        "fault": type(fault).__name__,
        "at": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }
