"""One of several processes that begin to record at the same moment; prints what each store has of its study then."""

import json
import sys
import time
from pathlib import Path

from study.state.home import Home
from study.tracking.uri import begin_records
from toy_mirror import Sides


def main(folder: Path, *stores: str) -> None:
    """Record a study in one store after the other, each when the test has made a file of its number beside the folder."""
    import study.tracking.store as _store  # noqa: F401 (it takes seconds)

    for number, store in enumerate(stores):
        (folder / f"ready{number}").touch()
        while not (folder.parent / str(number)).exists():
            time.sleep(0.002)
        name = f"{folder.name}-{number}"
        begin_records(name, Home(folder), store)
        sides = Sides(folder / name, store)
        mirror = sides.mirror()
        sides.happen(mirror)
        assert mirror.close(complete=False)
        assert sides.said == []
        print(json.dumps(sides.recorded(), sort_keys=True), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
