"""What the numbers of a study are made of: the features that its trials learn from, and the code that trains them.

Both are noted in the study's folder at the first launch. A later launch on other features is refused; one by other code says so.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import acl_study
from acl.store.feature_store import FeatureStore
from acl.system.files import write_durably
from acl.system.text import parse_json
from study import names
from study.errors import StudyError
from study.spec.study import Study
from study.spec.sweep import Sweep
from study.state.home import Home

INPUTS_FILE = "inputs.json"
_SHOWN = 12  # digits of a digest


@dataclass(frozen=True)
class Inputs:
    """What a study's numbers are made of.

    Attributes:
        features: SHA-256 of the bytes of each sweep's features, by the sweep's name.
        version: of acl-study.
        code: SHA-256 of each file of the package `acl`, by its path in it.
    """

    features: Mapping[str, str]
    version: str
    code: Mapping[str, str]


def current_inputs(study: Study) -> Inputs:
    """Look at features and code as they are now.

    Raises:
        StoreError: features are missing, or their bytes are not those that were prepared.
    """
    return Inputs({sweep.name: features_of(sweep) for sweep in study.sweeps}, metadata.version("acl-study"), source_digests())


def features_of(sweep: Sweep) -> str:
    """SHA-256 of the bytes of a sweep's features; errors as `current_inputs`."""
    return FeatureStore.verify(str(sweep.base.get("data.root", "")), sweep.base["mode"])


@cache
def source_digests() -> dict[str, str]:
    """SHA-256 of the source files of `acl`, which computes all numbers, as they are when a command first asks."""
    root = Path(acl_study.ROOT)
    files = sorted((root / "acl").rglob("*.py"))
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def check_inputs(home: Home, study: Study, now: Inputs) -> list[str]:
    """Compare what a study was launched with and what it would go on with; returns a line on each difference in its code.

    Raises:
        StudyError: the features of a sweep are not those of its earlier trials.
    """
    noted = _noted(home, study)
    for sweep in study.sweeps:
        before = noted.get("features", {}).get(sweep.name) or _features_of_trials(home.study(study.name) / sweep.name)
        if before is not None and before != now.features[sweep.name]:
            raise StudyError(
                f"sweep {sweep.name}: the features of {sweep.base['data.root']} are {now.features[sweep.name][:_SHOWN]}, study "
                f"{study.name!r} was launched on {before[:_SHOWN]}, and results of two corpora never mix; restore that corpus and "
                f"run `acl-study data prepare {sweep.base['data.root']}`, or `run` the study on this one under another --name"
            )
    lines = []
    if noted.get("version", now.version) != now.version:
        lines.append(
            f"{study.name} was launched by acl-study {noted['version']}, this is {now.version}: its trials may differ for that"
        )
    before_code = noted.get("code", now.code)
    if changed := sorted(name for name in {*before_code, *now.code} if before_code.get(name) != now.code.get(name)):
        shown = ", ".join(changed[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")
        lines.append(
            f"code has changed since {study.name} was launched ({shown}): its earlier and later trials may differ for that; to "
            "keep them apart, `run` it under another --name"
        )
    return lines


def keep_inputs(home: Home, study: str, inputs: Inputs) -> None:
    """Note what a study is launched with, unless an earlier launch has."""
    path = home.study(study) / INPUTS_FILE
    if not path.exists():
        write_durably(path, json.dumps(asdict(inputs), indent=1) + "\n")


def _noted(home: Home, study: Study) -> dict[str, Any]:
    """What the first launch has noted; nothing of a study of an earlier version.

    Raises:
        StudyError: the file is damaged.
    """
    path = home.study(study.name) / INPUTS_FILE
    if not path.exists():
        return {}
    try:
        noted = parse_json(path.read_bytes())
        if not isinstance(noted["features"], dict) or not isinstance(noted["code"], dict) or not isinstance(noted["version"], str):
            raise TypeError
    except (ValueError, KeyError, TypeError):
        raise StudyError(f"{path} is damaged; delete it: the trials' own records say what they were trained on") from None
    return dict(noted)


def _features_of_trials(folder: Path) -> str | None:
    """Digest of the features on which a sweep's first trial was trained, as its provenance has it; None where none has."""
    for path in sorted(folder.glob(f"*/state/{names.PROVENANCE_FILE}")):
        try:
            return str(parse_json(path.read_bytes())[-1]["features_sha256"])
        except (OSError, ValueError, LookupError, TypeError):
            continue
    return None
