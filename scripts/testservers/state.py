"""What is remembered between two commands: which servers were started, where, and as which process."""

import json
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

from testservers.process import Process
from testservers.server import HOST

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass
class Entry:
    """One server: its ports, its folder, and its process unless it was stopped."""

    ports: dict[str, int]
    folder: Path
    process: Process | None = None

    @property
    def address(self) -> str:
        """Where clients connect."""
        return f"{HOST}:{self.ports['client']}"

    @property
    def log(self) -> Path:
        """What the server's process printed."""
        return self.folder / "server.log"


@dataclass
class State:
    """The state folder's content: `engine` runs the servers, `data` is the temporary folder of their data."""

    folder: Path
    engine: str = ""
    data: Path | None = None
    entries: dict[str, Entry] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> "State":
        """Read a state folder; one that is not there is empty."""
        state = cls(folder)
        if state.file.exists():
            stored = json.loads(state.file.read_text())
            state.engine, state.data = stored["engine"], Path(stored["data"])
            for name, entry in stored["servers"].items():
                process = Process(**entry["process"]) if entry["process"] else None
                state.entries[name] = Entry(entry["ports"], Path(entry["folder"]), process)
        return state

    @property
    def file(self) -> Path:
        """Where it is written."""
        return self.folder / "state.json"

    def data_folder(self) -> Path:
        """The folder of the servers' data, made when it is first asked for."""
        if self.data is None:
            self.data = Path(tempfile.mkdtemp(prefix="lern-servers-"))
        return self.data

    def save(self) -> None:
        """Write it, whole or not at all."""
        stored = {
            "engine": self.engine,
            "data": self.data_folder(),
            "servers": {name: asdict(entry) for name, entry in self.entries.items()},
        }
        draft = self.file.with_suffix(".draft")
        draft.write_text(json.dumps(stored, default=str, indent=2))
        draft.replace(self.file)

    def clear(self) -> None:
        """Forget everything, and remove the servers' data."""
        if self.data:
            shutil.rmtree(self.data, ignore_errors=True)
        self.file.unlink(missing_ok=True)
        self.engine, self.data, self.entries = "", None, {}


def default_folder() -> Path:
    """The state folder of this environment."""
    return Path(os.environ.get("LERN_SERVERS_STATE") or REPOSITORY / ".cache" / "servers").absolute()
