"""Checks of this machine: Python, torch, GPU, memory, disk. Torch is imported only where it may fail."""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from acl.system.memory import available_memory, total_memory
from acl.system.processes import available_cores
from acl.system.text import format_size
from study.doctor.findings import Finding, reason_of

_TRIAL_GB = 1.0  # what a small trial's process comes to, see LOG.md
_LITTLE_MEMORY_GB = 4.0
_LITTLE_DISK_GB = 5.0
_SHM_GB = 0.5
_SMI_SECONDS = 20


def torch_findings() -> Iterator[Finding]:
    """Python, torch and torchaudio, without which nothing else can be looked at."""
    yield Finding("ok", "Python", f"{platform.python_version()} in {sys.prefix}")
    try:
        import torch
    except (ImportError, OSError) as error:
        remedy = "install torch anew: pip install --force-reinstall -c constraints.txt torch"
        yield Finding("problem", "torch", f"does not load ({reason_of(error)})", remedy)
        return
    try:
        import acl.torchaudio_import  # noqa: F401
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        remedy = "install the two together: pip install -c constraints.txt torch torchaudio"
        yield Finding("problem", "torchaudio", f"does not load beside torch {torch.__version__} ({reason_of(error)})", remedy)
        return
    versions = f"{torch.__version__}, torchaudio {metadata.version('torchaudio')}"
    if getattr(sys.modules["torchaudio._extension"], "_IS_TORCHAUDIO_EXT_AVAILABLE", False):
        yield Finding("ok", "torch", versions)
    else:
        yield Finding("ok", "torch", f"{versions}, whose kernels do not load beside this torch; nothing here needs them")


def machine_findings(home: Path) -> Iterator[Finding]:
    """This project's code, and what the machine has; `home` is the folder of the results."""
    from study.doctor.installation import code_words

    yield Finding("ok", "acl-study", code_words())
    yield _gpu()
    yield _memory()
    yield from _shared_memory()
    yield _disk(home)
    yield from _temporary_files()


def _gpu() -> Finding:
    import torch

    cards = _nvidia_smi()
    if torch.cuda.is_available():
        return _usable_gpu(cards)
    if not cards:
        return Finding(
            "note", "GPU", "none: studies run on the CPU", "--profile mini is of a size for that, --gpus 0 asks for none"
        )
    driver = f"{len(cards)} of {cards[0]['name']} with driver {cards[0]['driver']}"
    if torch.version.cuda is None:
        remedy = "install torch's build for CUDA: see https://pytorch.org/get-started/locally"
        return Finding("warning", "GPU", f"{driver}, and torch {torch.__version__} is built for CPUs", remedy)
    if os.environ.get("CUDA_VISIBLE_DEVICES") is not None:
        hidden = os.environ["CUDA_VISIBLE_DEVICES"]
        return Finding("warning", "GPU", f"{driver}, hidden by CUDA_VISIBLE_DEVICES={hidden!r}", "unset it to use them")
    remedy = "update the driver, or install a torch for an older CUDA: see https://pytorch.org/get-started/previous-versions"
    return Finding("warning", "GPU", f"{driver}, which torch for CUDA {torch.version.cuda} cannot use", remedy)


def _usable_gpu(cards: list[dict[str, str]]) -> Finding:
    import torch

    properties = torch.cuda.get_device_properties(0)
    driver = f", driver {cards[0]['driver']}" if cards else ""
    memory = format_size(properties.total_memory, "GiB", digits=0)
    found = f"{torch.cuda.device_count()} of {properties.name}, {memory}{driver}, CUDA {torch.version.cuda}"
    try:
        torch.ones(8, device="cuda").sum().item()
    except RuntimeError as error:
        return Finding(
            "problem", "GPU", f"{found}; does not compute ({reason_of(error)})", "update driver or torch; see nvidia-smi"
        )
    return Finding("ok", "GPU", found)


def _nvidia_smi() -> list[dict[str, str]]:
    """Name and driver of every GPU that the driver knows; none where there is no driver."""
    command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        out = subprocess.run(command, capture_output=True, text=True, timeout=_SMI_SECONDS, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [line.rpartition(",") for line in out.splitlines() if "," in line]
    return [{"name": name.strip(), "driver": driver.strip()} for name, _, driver in rows]


def _memory() -> Finding:
    total, available, cores = total_memory() / 1e9, available_memory() / 1e9, available_cores()
    found = f"{available:.1f} of {total:.1f} GB are free, {cores} core{'s' if cores > 1 else ''}"
    if available < _TRIAL_GB:
        return Finding("problem", "memory", found, f"end other programs: a trial takes {_TRIAL_GB:g} GB and more")
    if available < _LITTLE_MEMORY_GB:
        return Finding(
            "warning", "memory", found, f"run one trial at a time, with --cpus {cores}; acl-study plan measures what it takes"
        )
    return Finding("ok", "memory", found)


def _shared_memory() -> Iterator[Finding]:
    """Ray keeps its object store there, or else among temporary files, at a fraction of the speed."""
    folder = Path("/dev/shm")
    if not folder.is_dir():
        return
    free = shutil.disk_usage(folder).free / 1e9
    found = f"{free:.1f} GB are free in {folder}"
    if free < _SHM_GB:
        yield Finding("warning", "shared mem.", found, "delete what is left there, or start the container with --shm-size=2g")
    else:
        yield Finding("ok", "shared mem.", found)


def _disk(home: Path) -> Finding:
    folder = next(path for path in (home.absolute(), *home.absolute().parents) if path.exists())
    remedy = "name another folder with --home or ACL_STUDY_HOME"
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"acl-study")
            file.flush()
    except OSError as error:
        return Finding("problem", "results", f"{home} cannot be written ({error.strerror or reason_of(error)})", remedy)
    free = shutil.disk_usage(folder).free / 1e9
    found = f"{home} can be written, {free:.1f} GB are free"
    if free < _LITTLE_DISK_GB:
        return Finding("warning", "results", found, f"make room, or {remedy}; acl-study plan says what a study takes")
    return Finding("ok", "results", found)


def _temporary_files() -> Iterator[Finding]:
    """Ray's session lies among them."""
    usage = shutil.disk_usage(tempfile.gettempdir())
    if usage.free < 0.05 * usage.total:
        found = f"{tempfile.gettempdir()} is {1 - usage.free / usage.total:.0%} full"
        yield Finding("warning", "temp. files", found, "make room there: Ray keeps its session and its logs in it")
