"""Where the code of a launch lies, so that its workers can compare theirs."""

import socket
from dataclasses import dataclass
from pathlib import Path

import study
from study.errors import InputError


@dataclass(frozen=True)
class CodePlace:
    """Where a process has imported this project from.

    Attributes:
        host: name of its machine. On other machines of a cluster the project may lie elsewhere: `cluster` compares their versions.
        folder: of the package `study`.
    """

    host: str
    folder: str

    @classmethod
    def here(cls) -> "CodePlace":
        """Where this process has it from."""
        return cls(socket.gethostname(), str(Path(study.__file__).resolve().parent))

    def check_here(self) -> None:
        """Compare with this process.

        Raises:
            InputError: this process is on the same machine and has the project from another folder.
        """
        own = CodePlace.here()
        if own.host == self.host and own.folder != self.folder:
            raise InputError(
                f"workers import acl-study from {own.folder}, this command from {self.folder}; take the first one off "
                "PYTHONPATH, or run its own acl-study"
            )
