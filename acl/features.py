"""Waveform → log-mel spectrogram, and where its patches start.

Two front ends, both of the published recipe: self-supervised (22.05 kHz, 10 ms hop, 1 s patches) and supervised (44.1 kHz, 20 ms
hop, 2 s patches).
"""

import dataclasses
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from acl.config import SELF_SUPERVISED, SUPERVISED, Mode
from acl.front_ends import BANDS
from acl.resampling import RESAMPLING, resample
from acl.system.memory import chunks
from acl.torchaudio_import import torchaudio

PATCH_FRAMES: dict[Mode, int] = {SELF_SUPERVISED: 101, SUPERVISED: 100}
PATCH_HOP_FRAMES = 50

# Keeps silence from being divided by zero when a waveform is scaled to its peak.
PEAK_OFFSET = 0.005
# Frames at a time, which stay in a core's cache. With fewer, calls take longer than what they compute.
_FRAMES_AT_ONCE = 96
_BAND_GROUPS = 6  # a band covers few bins: two thirds of the whole product would be with zeros, and small products are slow


@dataclasses.dataclass(frozen=True)
class LogMel:
    """Log-mel spectrogram of one clip, including resampling, scaling and the replication of short clips.

        y = waveform at `sample_rate` Hz, minus its mean, over (max|y| + 0.005), repeated up to `min_samples`
        logmel = log10(mel(|STFT(y + offset)|²) + offset)

    The STFT is centred, its periodic Hamming window padded to `n_fft` samples; the mel bands are triangles of height 1 on the
    slaney scale. A clip of n samples has 1 + n // hop_samples frames. The waveform y has the precision of what is passed, float64
    where it is resampled (see `acl.resampling.resample`); what follows is in float32, whose rounding moves log-mels of
    noise by less than 1e-6 on average, and by up to 1.3e-3 in bands where a tone leaves nothing but the noise of 16 bits.

    >>> extract = LogMel.ssl()
    >>> extract(torch.sin(torch.arange(22050) / 10), 22050).shape
    torch.Size([101, 96])
    """

    mode: Mode
    sample_rate: int  # Hz
    min_samples: int  # shorter clips are repeated up to this length
    window_samples: int
    hop_samples: int
    min_hz: float
    max_hz: float
    offset: float
    edge_padding: str
    n_fft: int = 2048
    bands: int = BANDS

    @classmethod
    def ssl(cls) -> "LogMel":
        """Front end of self-supervised runs: 30 ms windows every 10 ms, clips of at least 1 s (101 frames)."""
        return cls(SELF_SUPERVISED, 22050, 22050, 660, 220, 50.0, 10500.0, 1.1e-8, "reflect")

    @classmethod
    def supervised(cls) -> "LogMel":
        """Front end of supervised runs: 40 ms windows every 20 ms, clips of at least 2 s (101 frames)."""
        return cls(SUPERVISED, 44100, 88200, 1764, 882, 0.0, 22050.0, 2.22e-16, "constant")

    @property
    def parameters(self) -> dict[str, Any]:
        """Every number that the features depend on, ready for JSON: equal parameters mean equal features."""
        return dataclasses.asdict(self) | {"peak_offset": PEAK_OFFSET, "resampling": dict(RESAMPLING)}

    def __call__(self, waveform: Tensor | np.ndarray, sample_rate: int) -> Tensor:
        """Log-mel spectrogram `[frames, 96]`, float32.

        Args:
            waveform: `[samples]`, floating point, one channel.
            sample_rate: of `waveform`, Hz.

        Raises:
            ValueError: the waveform is empty, not finite, not floating point or not one channel, or the rate is not positive.
        """
        samples = self.prepare(waveform, sample_rate).numpy()
        samples += self.offset
        padded = np.pad(samples.astype(np.float32, copy=False), self.n_fft // 2, mode=self.edge_padding)  # type: ignore[call-overload]
        # Where the window lies within the n_fft samples does not change a power.
        inside = torch.from_numpy(padded[(self.n_fft - self.window_samples) // 2 :])
        count = 1 + len(samples) // self.hop_samples
        frames = inside.unfold(0, self.window_samples, self.hop_samples)
        windowed = torch.zeros(_FRAMES_AT_ONCE, self.n_fft)
        power, imaginary = np.empty((2, _FRAMES_AT_ONCE, self.n_fft // 2 + 1), np.float32)
        mel = torch.empty(count, self.bands)
        for part in chunks(count, _FRAMES_AT_ONCE):
            here = slice(part.stop - part.start)
            torch.mul(frames[part], self._window, out=windowed[here, : self.window_samples])
            spectrum = torch.fft.rfft(windowed[here]).numpy()
            # numpy is faster at every second number, torch at transforms and products
            np.square(spectrum.real, out=power[here])
            power[here] += np.square(spectrum.imag, out=imaginary[here])
            parts = [torch.from_numpy(power[here, bins]) @ weights for bins, weights in self._band_groups]
            torch.cat(parts, dim=1, out=mel[part])
        return mel.add_(self.offset).log10_()

    def prepare(self, waveform: Tensor | np.ndarray, sample_rate: int) -> Tensor:
        """Waveform as the STFT sees it: resampled, scaled, short clips repeated; `[samples]`. Raises as the call."""
        samples = _checked_waveform(waveform)
        if sample_rate <= 0:
            raise ValueError(f"sample_rate is {sample_rate} Hz; pass the rate that the audio file states")
        if sample_rate != self.sample_rate:
            samples = resample(samples, int(sample_rate), self.sample_rate)
        samples -= samples.dtype.type(torch.from_numpy(samples).mean(dtype=torch.float64))
        samples /= max(samples.max(), -samples.min()) + PEAK_OFFSET
        if len(samples) < self.min_samples:
            samples = np.resize(samples, self.min_samples)
        return torch.from_numpy(samples)

    @cached_property
    def _window(self) -> Tensor:
        return torch.hamming_window(self.window_samples, periodic=True, dtype=torch.float64).float()

    @cached_property
    def _filter_bank(self) -> Tensor:
        """`[bands, n_fft // 2 + 1]`."""
        bank: Tensor = torchaudio.functional.melscale_fbanks(
            self.n_fft // 2 + 1, self.min_hz, self.max_hz, self.bands, self.sample_rate, norm=None, mel_scale="slaney"
        )
        return bank.T

    @cached_property
    def _band_groups(self) -> list[tuple[slice, Tensor]]:
        """Neighbouring bands: the bins that they cover, and their weights `[bins, bands]`. What is left out is zero."""
        groups = []
        for bands in self._filter_bank.tensor_split(_BAND_GROUPS):
            covered = bands.any(dim=0).nonzero()
            bins = slice(int(covered[0]), int(covered[-1]) + 1)
            groups.append((bins, bands[:, bins].T.contiguous()))
        return groups


def training_patch_starts(frames: int, mode: Mode) -> list[int]:
    """First frames of the overlapping patches of a clip that has `frames` frames; neighbours are 50 frames apart.

    Self-supervised: patches of 101 frames on which embeddings are evaluated and the probe trains, floor((frames - 101) / 50) + 1
    of them (pre-training itself draws patches at random). Supervised: patches of 100 frames for training and validation,
    max(1, ceil((frames - 100) / 50)). The frames behind the last patch are not used.

    >>> training_patch_starts(201, "self-supervised"), training_patch_starts(201, "supervised")
    ([0, 50, 100], [0, 50, 100])

    Raises:
        ValueError: fewer frames than one patch.
    """
    room = _frames_beyond_first_patch(frames, mode)
    count = room // PATCH_HOP_FRAMES + 1 if mode == SELF_SUPERVISED else max(1, -(-room // PATCH_HOP_FRAMES))
    return [index * PATCH_HOP_FRAMES for index in range(count)]


def testing_patch_starts(frames: int, mode: Mode) -> list[int]:
    """First frames of the patches on which a test clip is classified.

    Self-supervised: those of `training_patch_starts`. Supervised: side by side, floor(frames / 100).

    >>> testing_patch_starts(251, "supervised")
    [0, 100]

    Raises:
        ValueError: fewer frames than one patch.
    """
    if mode == SELF_SUPERVISED:
        return training_patch_starts(frames, mode)
    room = _frames_beyond_first_patch(frames, mode)
    return list(range(0, room + 1, PATCH_FRAMES[mode]))


def _frames_beyond_first_patch(frames: int, mode: Mode) -> int:
    if frames < PATCH_FRAMES[mode]:
        raise ValueError(f"a clip has {frames} frames, a {mode} patch {PATCH_FRAMES[mode]}; extract its features with LogMel")
    return frames - PATCH_FRAMES[mode]


def _checked_waveform(waveform: Tensor | np.ndarray) -> np.ndarray:
    """A copy, float32 or wider."""
    if isinstance(waveform, Tensor):
        waveform = waveform.detach().cpu()
        samples = np.asarray(waveform.float() if waveform.dtype == torch.bfloat16 else waveform)  # which numpy lacks
    else:
        samples = np.asarray(waveform)
    if samples.ndim != 1:
        raise ValueError(f"waveform has shape {list(samples.shape)}, expected [samples]; mix its channels down to one")
    if not np.issubdtype(samples.dtype, np.floating):
        raise ValueError(f"waveform is {waveform.dtype}, expected floating point; read the file as float")
    if len(samples) == 0:
        raise ValueError("waveform has 0 samples; restore the audio file or remove the clip")
    if not np.isfinite(samples).all():
        unusable = int((~np.isfinite(samples)).sum())
        raise ValueError(f"waveform has {unusable} samples that are not finite; restore the file or remove the clip")
    return samples.astype(np.float64 if samples.dtype.itemsize > 4 else np.float32)
