"""Provenance of a run's numbers: code, versions, machine, corpus."""

import functools
import hashlib
import json
import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from acl.config import Config
from acl.store.feature_store import FeatureStore
from acl.system.files import write_durably
from acl.system.memory import total_memory
from acl.system.processes import available_cores
from acl.system.text import first_line, parse_json

PROJECT = "acl-study"
PROVENANCE_FILE = "provenance.json"
LIBRARIES = ("torch", "torchaudio", "numpy", "ray", "optuna", "mlflow", "pandas", "plotly")
_SOURCES = ("acl", "study", "analysis", "pyproject.toml")


@functools.cache
def describe_code() -> dict[str, Any]:
    """Version, and of a git checkout the commit, whether the sources differ from it, and a digest of the difference.

    Described once in a process, when its first run starts: later commits are not what the process has imported. Where there is no
    commit to name, `git_commit` is None and `no_commit_because` says why.
    """
    described: dict[str, Any] = {"version": _version(PROJECT), "git_commit": None, "git_dirty": None, "git_diff_sha256": None}
    root = Path(__file__).parents[1]
    try:
        if not _git(root, "ls-files", "--", "acl/provenance.py"):  # perhaps inside another project's repository
            return described | {"no_commit_because": "not a git checkout"}
        top = Path(_git(root, "rev-parse", "--show-toplevel").strip())
        described["git_commit"] = _git(root, "rev-parse", "HEAD").strip()
        changed = _git(root, "status", "--porcelain", "--untracked-files=all", "-z", "--", *_SOURCES)
        described["git_dirty"] = bool(changed)
        if changed:
            digest = hashlib.sha256((changed + _git(root, "diff", "--no-ext-diff", "HEAD", "--", *_SOURCES)).encode())
            for name in sorted(entry[3:] for entry in changed.split("\0") if entry.startswith("??")):
                digest.update((top / name).read_bytes())
            described["git_diff_sha256"] = digest.hexdigest()
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip()
        return described | {"no_commit_because": first_line(said, type(error).__name__)}
    return described


def describe_versions() -> dict[str, str]:
    """Python, the operating system, and the libraries that are installed."""
    versions = {"python": platform.python_version(), "system": platform.platform()}
    return versions | {library: version for library in LIBRARIES if (version := _version(library)) is not None}


def describe_hardware() -> dict[str, Any]:
    """Processor, cores that this process may use, memory in GiB, and the GPU that it sees."""
    gpu = None
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        gpu = {"name": properties.name, "memory_gib": round(properties.total_memory / 2**30, 1), "cuda": torch.version.cuda}
    return {
        "host": platform.node(),
        "cpu": _processor(),
        "cores": available_cores(),
        "memory_gib": round(total_memory() / 2**30, 1),
        "gpu": gpu,
    }


def describe_run(config: Config, store: FeatureStore, device: torch.device) -> dict[str, Any]:
    """All of it for one run on `device`, JSON-able."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": config.seed,
        "code": describe_code(),
        "versions": describe_versions(),
        "hardware": describe_hardware(),
        "device": device.type,
        "gpu_share": torch.cuda.get_per_process_memory_fraction(device) if device.type == "cuda" else 0.0,
        "threads": torch.get_num_threads(),
        "corpus": store.metadata["corpus"],
        "corpus_sha256": store.metadata["corpus_sha256"],
        "clips_left_out": len(store.metadata.get("left_out", [])),
        "features_sha256": store.metadata["content_sha256"],
        "noisy_clips": store.noisy_clips,
    }


def append_provenance(folder: Path, launch: dict[str, Any]) -> None:
    """Add a launch of a run to the JSON list in its folder: a run may go on with other code or on another machine."""
    launches = read_launches(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_durably(folder / PROVENANCE_FILE, json.dumps([*launches, launch], indent=2) + "\n")


def read_launches(folder: Path) -> list[dict[str, Any]]:
    """What trained a run, launch by launch; of a damaged file one entry without `code`: better a gap that shows than no run."""
    path = folder / PROVENANCE_FILE
    if not path.exists():
        return []
    try:
        launches = parse_json(path.read_bytes())
    except ValueError:
        launches = None
    if not isinstance(launches, list) or not all(isinstance(launch, dict) for launch in launches):
        return [{"unreadable": path.name}]
    return launches


def _git(root: Path, *arguments: str) -> str:
    # No optional locks: a trial's start must not be in the way of somebody's commit.
    command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=30, check=True)
    return done.stdout


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
