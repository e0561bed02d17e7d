"""What a run's numbers came from: code, versions, machine, corpus."""

import hashlib
import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from acl.config import Config
from acl.store import FeatureStore
from acl.training.device import choose_device

PROJECT = "acl-study"
LIBRARIES = ("torch", "torchaudio", "numpy", "ray", "optuna", "mlflow", "pandas", "plotly")
_SOURCES = ("acl", "study", "analysis", "pyproject.toml")


def describe_code() -> dict[str, Any]:
    """Version, and of a git checkout the commit, whether the sources differ from it, and a digest of the difference."""
    described: dict[str, Any] = {
        "version": metadata.version(PROJECT),
        "git_commit": None,
        "git_dirty": None,
        "git_diff_sha256": None,
    }
    root = Path(__file__).parents[1]
    if _git(root, "ls-files", "--error-unmatch", "acl/provenance.py") is None:
        return described  # an installed package, perhaps inside another project's repository
    described["git_commit"] = (_git(root, "rev-parse", "HEAD") or "").strip() or None
    changed = _git(root, "status", "--porcelain", "--", *_SOURCES)
    described["git_dirty"] = None if changed is None else bool(changed.strip())
    if changed:
        difference = _git(root, "diff", "HEAD", "--", *_SOURCES) or ""
        described["git_diff_sha256"] = hashlib.sha256((changed + difference).encode()).hexdigest()
    return described


def describe_versions() -> dict[str, str]:
    """Python, the operating system, and the libraries that are installed."""
    versions = {"python": platform.python_version(), "system": platform.platform()}
    for library in LIBRARIES:
        try:
            versions[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return versions


def describe_hardware() -> dict[str, Any]:
    """Processor, cores that this process may use, memory in GiB, and the GPU that it sees."""
    gpu = None
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        gpu = {"name": properties.name, "memory_gib": round(properties.total_memory / 2**30, 1), "cuda": torch.version.cuda}
    return {
        "host": platform.node(),
        "cpu": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpu": gpu,
    }


def describe_run(config: Config) -> dict[str, Any]:
    """All of it for one run, JSON-able. Sets torch's threads as the run does.

    Raises:
        StoreError: the corpus has no complete feature store.
        DeviceError: the configured device is missing.
    """
    store = FeatureStore.open(config.data.root, config.mode)
    device = choose_device(config.compute)
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": config.seed,
        "code": describe_code(),
        "versions": describe_versions(),
        "hardware": describe_hardware(),
        "device": device.type,
        "threads": torch.get_num_threads(),
        "corpus": store.metadata["corpus"],
        "corpus_sha256": store.metadata["corpus_sha256"],
        "features_sha256": store.metadata["content_sha256"],
    }


def append_provenance(path: Path, config: Config) -> None:
    """Add this launch of a run to the JSON list in `path`: a run may go on with other code or on another machine.

    Raises:
        StoreError: the corpus has no complete feature store.
        DeviceError: the configured device is missing.
    """
    launches = []
    if path.exists():
        try:
            launches = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            launches = ["unreadable"]  # better a gap that shows than a run that cannot go on
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps([*launches, describe_run(config)], indent=2) + "\n", encoding="utf-8")
    partial.replace(path)


def _git(root: Path, *arguments: str) -> str | None:
    """Output of git; None where git or the repository is missing."""
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
