"""The reader of FSDnoisy18k: it accepts the published tables and names the faults of others."""

from pathlib import Path

import pytest

from acl.data.clips import CLASSES, Clip, in_subset
from acl.data.fsdnoisy18k import read_corpus
from acl.store.feature_store import FeatureStore
from acl.store.prepare import prepare
from acl.system.errors import CorpusError
from support.corpora import write_small_corpus

TRAIN = """fname,label,aso_id,manually_verified,noisy_small
10.wav,Coin_(dropping),/m/0242l,1,0
11.wav,Rain,/m/06mb1,0,1
12.wav,"Dishes, pots, and [pans]",/m/04brg2,0,0
"""
TEST = 'fname,label\n20.wav,Rain\n21.wav,"Dishes, pots, and [pans]"\n'


def lay_out(root: Path, train: str = TRAIN, test: str = TEST) -> Path:
    """A corpus of empty files: the reader looks at names only."""
    for split, names in (("train", ("10.wav", "11.wav", "12.wav")), ("test", ("20.wav", "21.wav"))):
        folder = root / f"FSDnoisy18k.audio_{split}"
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).touch()
    meta = root / "FSDnoisy18k.meta"
    meta.mkdir()
    (meta / "train.csv").write_bytes(train.encode())
    (meta / "test.csv").write_bytes(test.encode())
    return root


def test_reads_all_clips_in_table_order(tmp_path: Path) -> None:
    corpus = read_corpus(lay_out(tmp_path))
    assert corpus.classes == ("Coin_(dropping)", "Dishes, pots, and [pans]", "Rain")
    assert (corpus.description, corpus.is_synthetic) == (f"corpus in {tmp_path.name}, 5 clips", False)
    assert [clip.name for clip in corpus.clips] == ["10.wav", "11.wav", "12.wav", "20.wav", "21.wav"]
    folder = tmp_path / "FSDnoisy18k.audio_train"
    assert corpus.clips[0] == Clip("10.wav", "train", "Coin_(dropping)", folder / "10.wav", True, False)
    assert corpus.clips[1] == Clip("11.wav", "train", "Rain", folder / "11.wav", False, True)
    assert corpus.clips[3].path == tmp_path / "FSDnoisy18k.audio_test" / "20.wav"
    assert corpus.clips[3].manually_verified


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("\ufeff" + TRAIN, "\ufeff" + TEST),
        (TRAIN.replace("\n", "\r\n"), TEST.replace("\n", "\r\n")),
        (TRAIN, 'fname,label,aso_id\n20.wav,Rain,/m/06mb1\n21.wav,"Dishes, pots, and [pans]",/m/04brg2\n'),
        (
            'fname,label,manually_verified,noisy_small\n10.wav,"Coin_(dropping)",1,0\n11.wav,Rain,0,1\n'
            '12.wav,"Dishes, pots, and [pans]",0,0\n',
            TEST,
        ),
    ],
    ids=["byte order mark", "CRLF", "aso_id in test.csv", "no aso_id"],
)
def test_variants_of_the_tables_read_the_same(tmp_path: Path, train: str, test: str) -> None:
    usual = read_corpus(lay_out(tmp_path / "usual"))
    variant = read_corpus(lay_out(tmp_path / "variant", train, test))
    assert [(c.name, c.label, c.manually_verified, c.noisy_small) for c in variant.clips] == [
        (c.name, c.label, c.manually_verified, c.noisy_small) for c in usual.clips
    ]


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (TRAIN.replace(",noisy_small\n", ",small\n"), TEST, "train.csv has no column noisy_small"),
        ("", TEST, "train.csv has no column fname"),
        ("fname,label,aso_id,manually_verified,noisy_small\n", TEST, "train.csv lists no clips"),
        (TRAIN.replace("/m/06mb1,0,1", "/m/06mb1,no,1"), TEST, "train.csv line 3: manually_verified must be 0 or 1, got 'no'"),
        (TRAIN.replace("/m/06mb1,0,1", "/m/06mb1,0,"), TEST, "train.csv line 3: noisy_small must be 0 or 1, got ''"),
        (TRAIN.replace('"', ""), TEST, "train.csv line 4 does not have 5 fields"),
        (TRAIN.replace("/m/06mb1,0,1", "/m/06mb1"), TEST, "train.csv line 3 does not have 5 fields"),
        (TRAIN.replace("11.wav", "10.wav"), TEST, "10.wav is listed twice in train.csv"),
        (TRAIN, TEST.replace("20.wav,Rain", "20.wav,Rainn"), "no training clip has the label 'Rainn'"),
        (TRAIN.replace("11.wav", "99.wav").replace("12.wav", "98.wav"), TEST, "2 of 3 files listed in train.csv.*first 99.wav"),
        (TRAIN, TEST.replace("21.wav", "../21.wav"), "1 of 2 files listed in test.csv"),
        (TRAIN, 'fname,label,group\n20.wav,Rain,"a\nb"\n', "test.csv line 3: group must be text on one line or empty, got"),
    ],
)
def test_faults_of_the_tables_are_named(tmp_path: Path, train: str, test: str, message: str) -> None:
    with pytest.raises(CorpusError, match=message) as error:
        read_corpus(lay_out(tmp_path, train, test))
    assert "\n" not in str(error.value)


def test_a_file_in_both_tables_is_refused(tmp_path: Path) -> None:
    root = lay_out(tmp_path, TRAIN, TEST.replace("20.wav", "10.wav"))
    (root / "FSDnoisy18k.audio_test" / "10.wav").touch()
    with pytest.raises(CorpusError, match=r"10.wav is listed twice in test.csv and train.csv"):
        read_corpus(root)


def test_only_published_classes_and_counts_are_fsdnoisy18k(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [f"{number}.wav,{CLASSES[number % 20]}" for number in range(17_585 + 947)]
    train = "fname,label,manually_verified,noisy_small\n" + "".join(f"{row},0,0\n" for row in rows[:17_585])
    test = "fname,label\n" + "".join(f"{row}\n" for row in rows[17_585:])
    root = lay_out(tmp_path / "my-sounds", train, test)
    for number in range(len(rows)):
        (root / f"FSDnoisy18k.audio_{'train' if number < 17_585 else 'test'}" / f"{number}.wav").touch()
    assert read_corpus(root).description == "FSDnoisy18k"

    table = root / "FSDnoisy18k.meta" / "test.csv"
    table.write_text(test.replace("Rain", "Drizzle"))
    (root / "FSDnoisy18k.meta" / "train.csv").write_text(train.replace("Rain", "Drizzle"))
    assert read_corpus(root).description == "corpus in my-sounds, 18532 clips"

    (root / "FSDnoisy18k.meta" / "train.csv").write_text(train)
    table.write_text(test.removesuffix(f"{rows[-1]}\n"))
    monkeypatch.chdir(root)
    assert read_corpus(".").description == "corpus in my-sounds, 18531 clips"


GROUPED_TRAIN = """fname,label,manually_verified,noisy_small,group
1.wav,Rain,1,0,forest
2.wav,Wind,1,0,
3.wav,Rain,1,0,forest
4.wav,Wind,1,0,hill
"""


def write_groups(root: Path, test_groups: str) -> Path:
    root = write_small_corpus(root)
    meta = root / "FSDnoisy18k.meta"
    (meta / "train.csv").write_text(GROUPED_TRAIN)
    (meta / "test.csv").write_text(f"fname,label,group\n5.wav,Rain,{test_groups}\n6.wav,Wind,\n")
    return root


def test_recordings_of_the_tables_reach_the_store(tmp_path: Path) -> None:
    said: list[str] = []
    root = write_groups(tmp_path, "pond")
    prepare(root, ["supervised"], workers=1, say=said.append)
    assert [clip.group for clip in read_corpus(root).clips] == ["forest", "", "forest", "hill", "pond", ""]
    assert FeatureStore.open(root, "supervised").group.tolist() == [0, 1, 0, 3, 4, 5]  # of each recording its first clip
    assert said == []


def test_a_recording_that_trains_and_tests_is_noted(tmp_path: Path) -> None:
    said: list[str] = []
    prepare(write_groups(tmp_path, "forest"), ["supervised"], workers=1, say=said.append)
    assert said == ["note: 1 recording has clips on both sides of a split or fold, first forest: test results are too good"]


def test_tables_without_recordings_have_the_stores_that_they_had(tmp_path: Path) -> None:
    empty, absent = write_small_corpus(tmp_path / "empty" / "c"), write_small_corpus(tmp_path / "absent" / "c")
    for split, columns in (("train", 4), ("test", 4)):
        table = empty / "FSDnoisy18k.meta" / f"{split}.csv"
        header, *rows = table.read_text().splitlines()
        assert len(header.split(",")) == columns
        table.write_text("\n".join([f"{header},group", *(f"{row}," for row in rows)]) + "\n")
    for root in (empty, absent):
        prepare(root, ["supervised"], workers=1)
    stores = [FeatureStore.open(root, "supervised").metadata for root in (empty, absent)]
    for digest in ("content_sha256", "corpus_sha256"):
        assert stores[0][digest] == stores[1][digest]


@pytest.mark.parametrize("missing", ["FSDnoisy18k.audio_train", "FSDnoisy18k.audio_test", "FSDnoisy18k.meta"])
def test_missing_folders_are_named(tmp_path: Path, missing: str) -> None:
    (lay_out(tmp_path) / missing).rename(tmp_path / "elsewhere")
    with pytest.raises(CorpusError, match=rf"{missing}\S* is missing"):
        read_corpus(tmp_path)


def test_damaged_description_is_refused(tmp_path: Path) -> None:
    (lay_out(tmp_path) / "corpus.json").write_text('{"name": "cut')
    with pytest.raises(CorpusError, match=r"corpus.json is not a corpus description"):
        read_corpus(tmp_path)


def test_subsets_partition_the_training_clips(tmp_path: Path) -> None:
    clips = read_corpus(lay_out(tmp_path)).clips
    members = {subset: [c.name for c in clips if in_subset(c, subset)] for subset in ("all", "clean", "noisy", "noisy_small")}
    assert members == {
        "all": ["10.wav", "11.wav", "12.wav"],
        "clean": ["10.wav"],
        "noisy": ["11.wav", "12.wav"],
        "noisy_small": ["11.wav"],
    }
    with pytest.raises(ValueError, match="subset must be all, clean, noisy or noisy_small, got 'dirty'"):
        in_subset(clips[0], "dirty")
