"""The device of a run, its memory and its precision."""

import contextlib
from collections.abc import Iterator

import torch
from torch import nn

from acl.config import ComputeConfig
from acl.system.errors import DeviceError


def choose_device(config: ComputeConfig) -> torch.device:
    """Device of the run; also sets torch's CPU threads, which are a property of the process.

    Raises:
        DeviceError: CUDA is asked for and there is none.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    if config.device == "cuda" and not torch.cuda.is_available():
        raise DeviceError("compute.device is cuda but torch sees no GPU; pass --set compute.device=auto")
    if config.device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", torch.cuda.current_device())  # torch.cuda asks for the number in places


def limit_gpu_memory(share: float) -> None:
    """Let this process take at most a share of its GPU's memory, so that runs which share a GPU cannot starve each other.

    An allocation above it is an out-of-memory error of this process. Nothing where there is no GPU.

    Args:
        share: 0..1; 0 and everything from 1 on set no limit.
    """
    if torch.cuda.is_available():
        torch.cuda.set_per_process_memory_fraction(share if 0 < share < 1 else 1.0)


def place_model(model: nn.Module, device: torch.device, config: ComputeConfig) -> nn.Module:
    """Model on its device, in the configured memory format."""
    memory_format = torch.channels_last if config.channels_last else torch.contiguous_format
    return model.to(device=device, memory_format=memory_format)  # type: ignore[call-overload]


@contextlib.contextmanager
def precision(device: torch.device, config: ComputeConfig) -> Iterator[None]:
    """Autocast to bfloat16 where configured, full float32 otherwise."""
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=config.precision == "bf16"):
        yield
