"""The synthetic corpus: reproducible, in FSDnoisy18k's proportions, audible everywhere."""

import csv
import hashlib
import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from acl.data.clips import CLASSES
from acl.data.fsdnoisy18k import read_corpus
from acl.data.synthetic.corpus import SIZES, noisy_small, plan, write_synthetic_corpus
from acl.data.synthetic.sounds import CLASS_SOUNDS, FOREIGN_SOUNDS, SOUNDS
from acl.system.errors import CorpusError

SEED = 0  # of the fixture, which one process has written


def digests(root: Path) -> dict[str, str]:
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_bytes_do_not_depend_on_the_number_of_workers(tiny: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write_synthetic_corpus(tmp_path / "again", "tiny", SEED, lambda done, total: seen.append((done, total)), workers=2)
    assert digests(tmp_path / "again") == digests(tiny)
    assert seen[0] == (0, 260)
    assert seen[-1] == (260, 260)
    assert seen == sorted(seen)
    assert os.listdir(tmp_path) == ["again"]


def test_layout_is_read_as_fsdnoisy18k(tiny: Path) -> None:
    corpus = read_corpus(tiny)
    assert (corpus.description, corpus.is_synthetic) == (f"synthetic corpus, tiny, seed {SEED}", True)
    assert corpus.classes == CLASSES
    for label in CLASSES:
        clips = [clip for clip in corpus.clips if clip.label == label]
        train = [clip for clip in clips if clip.split == "train"]
        assert sum(clip.manually_verified for clip in train) == 2
        assert sum(not clip.manually_verified for clip in train) == 8
        assert len(clips) - len(train) == 3
        assert any(clip.noisy_small for clip in train)
        assert not any(clip.noisy_small and clip.manually_verified for clip in clips)


def test_every_file_is_audible_44100_hz_16_bit_mono(tiny: Path) -> None:
    for clip in read_corpus(tiny).clips:
        about = soundfile.info(clip.path)
        assert (about.samplerate, about.channels, about.subtype) == (44_100, 1, "PCM_16")
        assert 0.3 - 1e-4 <= about.duration <= 3
        wave, _ = soundfile.read(clip.path)
        assert 0.04 < np.abs(wave).max() < 0.96
        assert wave.std() > 1e-4


def test_the_truth_is_beside_the_tables_and_never_read(tiny: Path) -> None:
    table = tiny / "FSDnoisy18k.meta" / "truth.csv"
    with table.open() as file:
        truth = {row["fname"]: row for row in csv.DictReader(file)}
    corpus = read_corpus(tiny)
    assert truth.keys() == {clip.name for clip in corpus.clips}
    for clip in corpus.clips:
        row = truth[clip.name]
        assert row["split"] == clip.split
        assert (row["true_sound"] == clip.label) == (row["noise_kind"] == "none")
        if clip.manually_verified:
            assert row["noise_kind"] == "none"
    hidden = table.rename(tiny / "truth.csv")
    try:
        assert read_corpus(tiny) == corpus
    finally:
        hidden.rename(table)


@pytest.mark.parametrize(("size", "in_class"), [("tiny", (3, 1, 4)), ("small", (19, 9, 20)), ("medium", (54, 24, 57))])
def test_noisy_labels_are_wrong_in_the_published_proportions(size: str, in_class: tuple[int, int, int]) -> None:
    clips = plan(np.random.default_rng(0), SIZES[size])
    for label in CLASSES:
        noisy = [clip for clip in clips if clip.label == label and not clip.manually_verified]
        kinds = Counter(clip.noise_kind for clip in noisy)
        assert (kinds["none"], kinds["in-vocabulary"], kinds["out-of-vocabulary"]) == in_class
        assert all((clip.true_sound in FOREIGN_SOUNDS) == (clip.noise_kind == "out-of-vocabulary") for clip in noisy)
        assert all(clip.true_sound != label for clip in noisy if clip.noise_kind == "in-vocabulary")
    seconds = np.array([clip.seconds for clip in clips])
    assert 0.3 <= seconds.min() < seconds.max() <= SIZES[size].longest_seconds
    # The median of a log-uniform duration is the geometric mean of its ends; 260 clips pin it to a factor of about 1.2.
    assert np.median(seconds) == pytest.approx(np.sqrt(0.3 * SIZES[size].longest_seconds), rel=0.2)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("seed", range(10))
def test_noisy_small_lasts_as_long_as_clean(size: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    clips = plan(rng, SIZES[size])
    chosen = noisy_small(rng, clips)
    assert {clips[i].label for i in chosen} == set(CLASSES)
    assert not any(clips[i].manually_verified for i in chosen)
    clean = sum(clip.seconds for clip in clips if clip.manually_verified and clip.split == "train")
    assert sum(clips[i].seconds for i in chosen) == pytest.approx(clean, rel=0.04)


@pytest.mark.parametrize("name", SOUNDS)
def test_every_sound_sounds_at_any_length(name: str) -> None:
    for seed, seconds in enumerate((0.3, 0.5, 0.3, 1.7, 0.4, 0.3)):
        wave = SOUNDS[name](np.random.default_rng(seed), round(seconds * 44_100))
        assert wave.shape == (round(seconds * 44_100),)
        assert np.isfinite(wave).all()
        assert wave.std() > 1e-3 * np.abs(wave).max() > 1e-6


def test_sounds_cover_the_classes_and_more() -> None:
    assert tuple(CLASS_SOUNDS) == CLASSES
    assert len(FOREIGN_SOUNDS) >= 8
    assert not FOREIGN_SOUNDS.keys() & CLASS_SOUNDS.keys()


def test_the_same_corpus_is_left_alone(tiny: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in tiny.rglob("*")}
    write_synthetic_corpus(tiny, "tiny", SEED)
    assert {path: path.stat().st_mtime_ns for path in tiny.rglob("*")} == before


@pytest.mark.parametrize(("size", "seed"), [("tiny", SEED + 1), ("small", SEED)])
def test_another_corpus_is_not_overwritten(tiny: Path, size: str, seed: int) -> None:
    with pytest.raises(CorpusError, match=f"is not an empty folder; name a new one for the synthetic corpus, {size}, seed {seed}"):
        write_synthetic_corpus(tiny, size, seed)
    assert json.loads((tiny / "corpus.json").read_text())["name"] == f"synthetic corpus, tiny, seed {SEED}"


def test_unknown_sizes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="size must be one of tiny, small, medium, got 'huge'"):
        write_synthetic_corpus(tmp_path / "corpus", "huge", 0)


def test_nothing_is_left_of_an_interrupted_corpus(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_synthetic_corpus(tmp_path / "corpus", "tiny", 0, interrupt, workers=1)
    assert os.listdir(tmp_path) == []
