"""The command `acl-study`: what has to be settled before the first of its packages is imported.

This module's name is nobody else's, while a folder of the user's may well be called `study` or `analysis`. It decides where the
packages of that name come from in every process that imports one of them: from beside this file.
"""

import atexit
import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

ROOT = os.path.dirname(os.path.realpath(__file__))
PACKAGES = ("acl", "study", "analysis")


class _OwnPackages(MetaPathFinder):
    """Finds this project's packages beside this file, whatever else has their names in the working directory or on PYTHONPATH."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        return PathFinder.find_spec(fullname, [ROOT]) if fullname in PACKAGES else None


if not any(isinstance(finder, _OwnPackages) for finder in sys.meta_path):
    sys.meta_path.insert(0, _OwnPackages())


def main() -> None:
    """Run the command line; a signal has an answer in a line from here on, to the end of the process."""
    from acl.system.environment import settle_environment
    from acl.system.signals import end_at_once, ignore_signals, take_signals

    take_signals(end_at_once)
    settle_environment()  # before a library reads it
    atexit.register(ignore_signals)  # runs after all that is registered later; the interpreter would restore the defaults
    from study.cli import app

    status = 1
    try:
        app.main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        raise
    finally:
        # What is left is tidying up: all work is done, and its status is known.
        take_signals(lambda number, frame: os._exit(status))


if __name__ == "__main__":
    main()
