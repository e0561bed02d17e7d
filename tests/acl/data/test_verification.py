"""Results of `data verify` for corpora that were damaged on purpose."""

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

from acl.data import verification
from acl.data.clips import CLASSES, Clip, Corpus
from acl.data.verification import Verification, count_departures, verify
from support import published_archives
from support.command_line import call


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published_archives.write_corpus(tmp_path_factory.mktemp("source") / "corpus", seconds=0.1)


@pytest.fixture
def root(source: Path, tmp_path: Path) -> Path:
    copied: Path = shutil.copytree(source, tmp_path / "corpus")
    return copied


def in_train(root: Path, name: str) -> Path:
    return root / "FSDnoisy18k.audio_train" / name


def in_test(root: Path, name: str) -> Path:
    return root / "FSDnoisy18k.audio_test" / name


def test_a_whole_corpus_has_no_problems(root: Path) -> None:
    steps: list[tuple[int, int]] = []
    found = verify(root, 1, lambda done, total: steps.append((done, total)))
    assert found.problems == ()
    assert not found.is_fsdnoisy18k
    three = dict.fromkeys(CLASSES[:3], 1)
    assert found.counts == {"clean": three, "noisy": dict.fromkeys(CLASSES[:3], 2), "noisy_small": three, "test": three}
    assert found.hours == pytest.approx({"clean": 0.3 / 3600, "noisy": 0.6 / 3600, "noisy_small": 0.3 / 3600, "test": 0.3 / 3600})
    assert found.repeated == {"train": 0, "test": 0}
    assert (steps[0], steps[-1]) == ((0, 12), (12, 12))


def test_the_result_does_not_depend_on_the_number_of_processes(root: Path) -> None:
    for number in range(20):  # more than one group
        name = f"more-{number}.wav"
        shutil.copy(in_train(root, "1-noisy.wav"), in_train(root, name))
        with (root / "FSDnoisy18k.meta" / "train.csv").open("a") as table:
            table.write(f"{name},{CLASSES[1]},/m/1,0,0\n")
    in_train(root, "more-7.wav").write_bytes(b"nothing")
    assert verify(root, 2) == verify(root, 1)


def test_files_that_cannot_be_decoded_are_named(root: Path) -> None:
    in_train(root, "0-noisy.wav").write_bytes(b"RIFF")
    in_test(root, "2-test.wav").write_bytes(b"")
    soundfile.write(in_train(root, "1-clean.wav"), [], 44_100)
    problems = verify(root, 1).problems
    assert [problem.partition(" ")[0] for problem in problems] == [
        str(path) for path in (in_train(root, "0-noisy.wav"), in_train(root, "1-clean.wav"), in_test(root, "2-test.wav"))
    ]
    assert "cannot be read as audio" in problems[0]


def test_files_that_no_table_lists_are_named(root: Path) -> None:
    for path in (in_train(root, "extra.wav"), in_train(root, ".DS_Store"), in_test(root, "notes.txt")):
        path.touch()
    assert verify(root, 1).problems == (
        f"{in_train(root, 'extra.wav')} is not listed in train.csv",
        f"{in_test(root, 'notes.txt')} is not listed in test.csv",
    )


def test_training_audio_in_the_test_set_is_found_in_any_format(root: Path) -> None:
    samples, rate = soundfile.read(in_train(root, "0-clean.wav"))
    soundfile.write(in_test(root, "1-test.wav"), samples, rate, "PCM_24")
    assert in_test(root, "1-test.wav").read_bytes() != in_train(root, "0-clean.wav").read_bytes()
    soundfile.write(in_test(root, "2-test.wav"), samples, rate // 2, "PCM_16")  # the same numbers, another sound
    found = verify(root, 1)
    heard = f"the audio of {in_train(root, '0-clean.wav')} ({CLASSES[0]}), a training clip"
    assert found.problems == (f"{in_test(root, '1-test.wav')} ({CLASSES[1]}) has {heard}",)
    assert found.repeated == {"train": 0, "test": 0}


def test_audio_that_a_split_has_twice_is_counted_and_no_problem(root: Path) -> None:
    for name in ("0-noisy.wav", "1-noisy.wav"):
        shutil.copy(in_train(root, "2-clean.wav"), in_train(root, name))
    shutil.copy(in_test(root, "0-test.wav"), in_test(root, "1-test.wav"))
    found = verify(root, 1)
    assert found.problems == ()
    assert found.repeated == {"train": 2, "test": 1}


def corpus_of(counts: dict[str, dict[str, int]]) -> tuple[Corpus, dict[str, Counter[str]]]:
    """A corpus without files of so many clips: subset -> label -> number."""

    def clips() -> Iterator[Clip]:
        for subset, labels in counts.items():
            for label, count in labels.items():
                for number in range(count):
                    split = "test" if subset == "test" else "train"
                    yield Clip(f"{subset}-{label}-{number}.wav", split, label, Path(), subset != "noisy", False)  # type: ignore[arg-type]

    labels = sorted({label for subset in counts.values() for label in subset})
    corpus = Corpus(Path(), "", False, tuple(clips()), tuple(labels))
    return corpus, {subset: Counter(of_subset) for subset, of_subset in counts.items()}


def as_published() -> dict[str, dict[str, int]]:
    """Some counts that agree with everything that was published: totals, smallest and largest class."""
    counts: dict[str, dict[str, int]] = {}
    for subset, (total, smallest, largest) in {
        "clean": (1_772, 51, 170),
        "noisy": (15_813, 250, 1_000),
        "test": (947, 30, 72),
    }.items():
        between = total - smallest - largest
        middle = [between // 18 + (number < between % 18) for number in range(18)]
        counts[subset] = dict(zip(CLASSES, [smallest, largest, *middle], strict=True))
    return counts


def test_the_published_counts_agree_with_themselves() -> None:
    corpus, counts = corpus_of(as_published())
    assert len(corpus.clips) == 18_532
    assert list(count_departures(corpus, counts)) == []


def test_each_departure_from_the_published_counts_is_a_line() -> None:
    changed = as_published()
    changed["clean"][CLASSES[0]] -= 1
    changed["test"][CLASSES[1]] += 1
    changed["test"][CLASSES[2]] -= 1
    changed["noisy"] = {("Hihat" if label == "Hi-hat" else label): count for label, count in changed["noisy"].items()}
    assert list(count_departures(*corpus_of(changed))) == [
        "label Hihat is none of the published ones",
        "clean has 1771 clips, published are 1772",
        "clean has 0 to 170 clips a class, published are 51 to 170",
        "noisy has 0 to 1000 clips a class, published are 250 to 1000",
        "test has 0 to 73 clips a class, published are 30 to 72",
    ]


def test_a_small_corpus_in_its_layout_and_with_its_labels_is_not_fsdnoisy18k(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = published_archives.write_corpus(tmp_path / "corpus", classes=20, seconds=0.02)
    assert call(monkeypatch, "data", "verify", str(root), "--workers", "1") == 0
    assert "not FSDnoisy18k, which has 18532 clips: nothing published to compare with" in capsys.readouterr().out


def test_a_part_of_fsdnoisy18k_is_compared_with_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "_FEWEST_CLIPS", 40)
    root = published_archives.write_corpus(tmp_path / "corpus", classes=11, seconds=0.02)
    stereo, rate = soundfile.read(in_train(root, "3-clean.wav"), always_2d=True)
    soundfile.write(in_train(root, "3-clean.wav"), stereo.repeat(2, axis=1), rate)
    found: Verification = verify(root, 1)
    assert found.is_fsdnoisy18k
    assert f"{in_train(root, '3-clean.wav')} has 44100 Hz and 2 channels, published are 44100 Hz and 1" in found.problems
    assert {f"label {label} is missing" for label in CLASSES[11:]} < set(found.problems)
    assert "noisy has 22 clips, published are 15813" in found.problems
    assert "train has 0.0 hours, published are 41.1" in found.problems
    (root / "corpus.json").write_text('{"name": "mine", "synthetic": false}', encoding="utf-8")
    assert verify(root, 1).problems == ()


def test_the_command_shows_counts_and_problems_and_fails(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "data", "verify", str(root), "--workers", "1") == 0
    out = capsys.readouterr().out
    assert "not FSDnoisy18k, which has 18532 clips: nothing published to compare with" in out
    assert out.endswith(f"next: acl-study data prepare {root}\n")
    shutil.copy(in_train(root, "0-clean.wav"), in_test(root, "0-test.wav"))
    in_train(root, "1-noisy.wav").write_bytes(b"")
    assert call(monkeypatch, "data", "verify", str(root), "--workers", "1") == 1
    printed = capsys.readouterr()
    assert len([line for line in printed.out.splitlines() if line.startswith(str(root))]) == 2
    assert f"error: 2 problems in {root}" in printed.err
    assert "next:" not in printed.out
    for name in (b"\xff.wav", b"two\nlines.wav", b"[red]"):
        Path(os.fsdecode(bytes(in_train(root, "")) + b"/" + name)).touch()
    assert call(monkeypatch, "data", "verify", str(root), "--workers", "1") == 1
    lines = capsys.readouterr().out.splitlines()
    assert sorted(line.rpartition("/")[2].partition(" is not")[0] for line in lines if "not listed" in line) == [
        "?.wav",
        "[red]",
        "two lines.wav",
    ]
    in_test(root, "2-test.wav").unlink()
    assert call(monkeypatch, "data", "verify", str(root)) == 1
    assert "1 of 3 files listed in test.csv are not in" in capsys.readouterr().err
