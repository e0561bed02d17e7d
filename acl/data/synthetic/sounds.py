"""All sound processes of the synthetic corpus by name."""

from collections.abc import Callable

from acl.data.clips import CLASSES
from acl.data.synthetic import foreign, struck, sustained
from acl.data.synthetic.waveforms import Generator, Waveform

Sound = Callable[[Generator, int], Waveform]

_IN_CLASS_ORDER: tuple[Sound, ...] = (
    struck.acoustic_guitar,
    struck.bass_guitar,
    struck.clapping,
    struck.coin,
    struck.crash_cymbal,
    struck.dishes,
    sustained.engine,
    sustained.fart,
    sustained.fire,
    sustained.fireworks,
    struck.glass,
    struck.hi_hat,
    struck.piano,
    sustained.rain,
    struck.slam,
    sustained.squeak,
    sustained.tearing,
    sustained.footsteps,
    sustained.wind,
    sustained.writing,
)

CLASS_SOUNDS: dict[str, Sound] = dict(zip(CLASSES, _IN_CLASS_ORDER, strict=True))

FOREIGN_SOUNDS: dict[str, Sound] = {
    "speech": foreign.speech,
    "bird": foreign.bird,
    "siren": foreign.siren,
    "beep": foreign.beep,
    "water_drip": foreign.water_drip,
    "hum": foreign.hum,
    "dog_bark": foreign.dog_bark,
    "keyboard": foreign.keyboard,
    "applause": foreign.applause,
    "insects": foreign.insects,
    "bell": foreign.bell,
    "drill": foreign.drill,
}

SOUNDS = CLASS_SOUNDS | FOREIGN_SOUNDS
