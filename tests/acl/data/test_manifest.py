"""Manifests of other data sets, and the line of each fault in them."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acl.data.clip_rows import notes_on
from acl.data.clips import Clip
from acl.data.corpus import import_corpus, read_corpus
from acl.data.manifest import Manifest, read_manifest
from acl.system.errors import CorpusError
from support.corpora import ESC50_CLASSES, URBAN_CLASSES, write_esc50, write_urbansound8k

SOUNDS = ("a.flac", "b.flac", "c.flac", "d.flac")
CSV = "path,label,split\na.flac,dog,train\nb.flac,cat,train\nc.flac,dog,test\nd.flac,cat,test\n"
CLIPS = "[{path: a.flac, label: dog, fold: 1}, {path: b.flac, label: dog, fold: 2}, {path: c.flac, label: cat, fold: 1}"
YAML = f"name: pets\nclips: {CLIPS}, {{path: d.flac, label: cat, fold: 2}}]\n"
COLUMNS = "columns: {path: file, label: what, split: part}\n"


@pytest.fixture(scope="module")
def esc50(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_esc50(tmp_path_factory.mktemp("published") / "ESC-50-master")


def sounds(folder: Path) -> Path:
    """Empty files: manifests look at names only."""
    for name in SOUNDS:
        (folder / name).touch()
    return folder


def manifest(folder: Path, text: str, name: str = "pets.csv", **tables: str) -> Manifest:
    path = sounds(folder) / name
    path.write_bytes(text.encode())
    for table, content in tables.items():
        (folder / f"{table}.csv").write_text(content)
    return read_manifest(str(path))


def test_the_published_layout_of_esc50_is_a_corpus(esc50: Path, tmp_path: Path) -> None:
    corpus = import_corpus(read_manifest("esc50", esc50), tmp_path / "corpus")
    assert (corpus.description, corpus.is_synthetic, corpus.classes) == ("ESC-50", False, ESC50_CLASSES)
    assert len(corpus.clips) == 60
    first = corpus.clips[0]
    audio = esc50 / "audio" / "1-1000-A-0.wav"
    assert first == Clip("audio/1-1000-A-0.wav", "fold", "crow", audio, True, False, fold=1, group="1000")
    assert {clip.fold for clip in corpus.clips} == {1, 2, 3, 4, 5}
    assert read_corpus(tmp_path / "corpus") == corpus
    assert not list((tmp_path / "corpus").rglob("*.wav"))  # the audio stays where it is


def test_the_published_layout_of_urbansound8k_is_a_corpus(tmp_path: Path) -> None:
    root = write_urbansound8k(tmp_path / "UrbanSound8K")
    corpus = import_corpus(read_manifest("urbansound8k", root), tmp_path / "corpus")
    assert (corpus.description, corpus.classes) == ("UrbanSound8K", URBAN_CLASSES)
    assert [clip.fold for clip in corpus.clips] == [fold for fold in range(1, 11) for _ in range(4)]
    assert corpus.clips[-1].path == root / "audio" / "fold10" / "1001-1-0-1.wav"
    assert all(clip.path.is_file() for clip in corpus.clips)


def test_a_csv_manifest_needs_no_more_than_path_label_and_split(tmp_path: Path) -> None:
    found = manifest(tmp_path, "\ufeff" + CSV.replace("\n", "\r\n").replace(",dog,", ", dog ,"))
    assert (found.name, found.audio) == ("pets", tmp_path)
    assert [(clip.name, clip.split, clip.label) for clip in found.clips] == [
        ("a.flac", "train", "dog"),
        ("b.flac", "train", "cat"),
        ("c.flac", "test", "dog"),
        ("d.flac", "test", "cat"),
    ]
    assert all(clip.manually_verified and not clip.noisy_small for clip in found.clips)


def test_flags_folds_and_groups_of_a_manifest_are_imported(tmp_path: Path) -> None:
    header = "path,label,fold,group,manually_verified,noisy_small\n"
    rows = "a.flac,dog,1,r1,1,0\nb.flac,dog,2,r2,0,1\nc.flac,cat,1,r3,0,0\nd.flac,cat,2,,1,0\n"
    clips = manifest(tmp_path, header + rows).clips
    assert [(clip.fold, clip.group, clip.manually_verified, clip.noisy_small) for clip in clips] == [
        (1, "r1", True, False),
        (2, "r2", False, True),
        (1, "r3", False, False),
        (2, "", True, False),
    ]
    assert import_corpus(Manifest("pets", tmp_path, clips), tmp_path / "corpus").clips == clips


def test_a_yaml_manifest_lists_clips_or_names_a_table(tmp_path: Path) -> None:
    assert [clip.fold for clip in manifest(tmp_path, YAML, "pets.yaml").clips] == [1, 2, 1, 2]
    table = CSV.replace("path,label,split", "file,what,part").replace(".flac", "")
    pattern = COLUMNS.replace("file", '"{file}.flac"')
    by_table = manifest(tmp_path, f"name: pets\ntable: t.csv\n{pattern}", "pets.yaml", t=table)
    assert [clip.path for clip in by_table.clips] == [tmp_path / name for name in SOUNDS]


def test_a_label_is_text_as_it_is_written(tmp_path: Path) -> None:
    text = YAML.replace("label: dog", "label: 010").replace("label: cat", "label: yes")
    assert {clip.label for clip in manifest(tmp_path, text, "pets.yaml").clips} == {"010", "yes"}


def test_labels_that_differ_in_case_only_are_pointed_out(tmp_path: Path) -> None:
    assert notes_on(manifest(tmp_path, CSV).clips) == []
    table = CSV.replace("d.flac,cat", "d.flac,Dog").replace("b.flac,cat", "b.flac,Dog")
    assert notes_on(manifest(tmp_path, table).clips) == [
        "labels Dog, dog differ in case only and count as different classes; write them alike to make them one"
    ]


def test_foreign_labels_are_no_classes(tmp_path: Path) -> None:
    table = CSV + "e.flac,bell,train\n"
    (tmp_path / "e.flac").touch()
    found = manifest(tmp_path, "name: pets\ntable: t.csv\nforeign: [bell]\n", "pets.yaml", t=table)
    assert [clip.split for clip in found.clips] == ["train", "train", "test", "test", "foreign"]
    assert import_corpus(found, tmp_path / "corpus").classes == ("cat", "dog")


BAD_TABLES = [
    (CSV.replace("label", "labels"), r"has no column label; did you mean labels\?"),
    (CSV.replace(",split", ",part"), "has no column split; it has path, label, part"),
    ("path,label,split\n", "lists no clips"),
    ("", "has no column path; it has nothing"),
    (CSV.replace("path,", "label,"), "pets.csv names the column label twice; keep one of them"),
    (CSV.replace("b.flac,cat,train", "b.flac,cat"), "pets.csv line 3 does not have 3 fields"),
    (CSV.replace("b.flac,cat", "b.flac,"), "pets.csv line 3: label must be text in one line, got ''"),
    (CSV.replace("b.flac,cat", ",cat"), "pets.csv line 3: path must be text in one line, got ''"),
    (CSV.replace("b.flac,cat", 'b.flac,"c\nat"'), r"pets.csv line 4: label must be text in one line, got 'c\\nat'"),
    (CSV.replace("cat,train", "cat,training"), "pets.csv line 3: split must be one of train, test, foreign, got 'training'"),
    (
        CSV.replace("split", "fold").replace("train", "0"),
        r"pets.csv line 2: fold must be .* got '0'.*\(3 more problems of this kind\)",
    ),
    (CSV.replace("b.flac", "x.flac"), "pets.csv line 3: there is no file .*x.flac"),
    (CSV.replace("b.flac", "./a.flac"), "pets.csv line 3: ./a.flac is listed twice, first in pets.csv line 2"),
    (CSV.replace("train", "test"), r"no clip has the split train"),
    (CSV.replace("c.flac,dog", "c.flac,fox"), "no training clip has the label 'fox'"),
    (CSV.replace("cat", "dog"), "clips of 1 classes cannot be told apart"),
    (CSV.replace("split", "fold").replace("train", "1").replace("test", "1"), "all clips are in fold 1"),
    (
        CSV.replace("split", "fold").replace("dog,train", "dog,2").replace("train", "1").replace("test", "2"),
        "'dog' is in fold 2 alone",
    ),
    (CSV.replace("dog,test", "dog,foreign"), "c.flac is foreign, but its label 'dog' is a class"),
    (CSV.replace("\n", ",noisy_small\n", 1).replace("n\n", "n,0\n").replace("t\n", "t,0\n"), "has no column manually_verified"),
    (CSV.replace("b.flac", '"b.flac'), "pets.csv line 5: unexpected end of data"),
]


@pytest.mark.parametrize(("text", "message"), BAD_TABLES)
def test_faults_of_a_table_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CorpusError, match=message) as error:
        manifest(tmp_path, text)
    assert "\n" not in str(error.value)


BAD_YAML = [
    ("name: pets\nclips: [}\n", "pets.yaml line 2: "),
    ("[]\n", "a manifest is a mapping .* got list"),
    ("name: pets\nname: cats\nclips: []\n", "pets.yaml line 2: name is written twice"),
    (YAML + "colums: {}\n", r"'colums' is no part of a manifest; did you mean columns\?"),
    (YAML + "table: t.csv\n", "either a table or clips"),
    (YAML.replace("name: pets", "name: [a]"), "name must be text in one line, got list"),
    ("name: pets\ntable: t.csv\ncolumns: {path: file, lable: what}\n", r"'lable' is no field of a clip; did you mean label\?"),
    (f"name: pets\ntable: t.csv\n{COLUMNS}", r"t.csv has no column file"),
    ("name: pets\ntable: no.csv\n", r"no.csv cannot be read \(No such file"),
    (
        "name: pets\nclips:\n- {path: a.flac, label: [a], fold: 1}\n",
        "pets.yaml line 3: label must be text, got list; put it in quotes",
    ),
    ("name: pets\nclips:\n- {path: a.flac, label: cat,\n   label: dog}\n", "pets.yaml line 4: label is written twice"),
    ("name: pets\nclips:\n- a.flac\n", "pets.yaml line 3: a clip is a mapping"),
    ("name: pets\nclips: !!python/object/apply:os.system [true]\n", "pets.yaml line 2: could not determine a constructor"),
    (YAML + "foreign: [fox]\n", "foreign: no clip has the label 'fox'"),
    (YAML + "audio: nowhere\n", "nowhere is not a folder; name that of the audio files with --audio"),
]


@pytest.mark.parametrize(("text", "message"), BAD_YAML)
def test_faults_of_a_yaml_manifest_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CorpusError, match=message) as error:
        manifest(tmp_path, text, "pets.yaml", t=CSV)
    assert "\n" not in str(error.value)


@settings(deadline=None, derandomize=True, max_examples=100, database=None)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.text("[]{}:,-&*!|>'\"\n path label name clips train 1", max_size=120).map(str.encode),
        st.tuples(st.integers(0, len(YAML)), st.binary(max_size=3)).map(
            lambda cut: YAML.encode()[: cut[0]] + cut[1] + YAML.encode()[cut[0] :]
        ),
    ),
    st.sampled_from(["fuzz.yaml", "fuzz.csv"]),
)
def test_no_text_makes_more_than_a_refusal(tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(content)
    with pytest.raises(CorpusError) as error:  # there are no such files
        read_manifest(str(path))
    assert "\n" not in str(error.value)


def test_a_folder_with_another_corpus_is_left_alone(esc50: Path, tmp_path: Path) -> None:
    import_corpus(manifest(tmp_path, CSV), tmp_path / "corpus")
    before = read_corpus(tmp_path / "corpus")
    with pytest.raises(CorpusError, match=r"holds the corpus 'pets' already; name another folder for 'ESC-50'"):
        import_corpus(read_manifest("esc50", esc50), tmp_path / "corpus")
    assert read_corpus(tmp_path / "corpus") == before
    (tmp_path / "noisy" / "FSDnoisy18k.audio_train").mkdir(parents=True)
    with pytest.raises(CorpusError, match=r"holds a corpus in FSDnoisy18k layout"):
        import_corpus(read_manifest("esc50", esc50), tmp_path / "noisy")


def test_a_shipped_manifest_needs_the_folder_of_its_data_set() -> None:
    with pytest.raises(CorpusError, match=r"esc50 is a shipped manifest; say with --audio FOLDER"):
        read_manifest("esc50")
    with pytest.raises(CorpusError, match=r"esc-50 is no manifest.*did you mean esc50\?"):
        read_manifest("esc-50")


def test_audio_that_has_gone_is_named_when_the_corpus_is_read(tmp_path: Path) -> None:
    import_corpus(manifest(tmp_path, CSV), tmp_path / "corpus")
    (tmp_path / "b.flac").unlink()
    with pytest.raises(CorpusError, match=r"clips.csv line 3: there is no file .*b.flac"):
        read_corpus(tmp_path / "corpus")
    (tmp_path / "corpus" / "corpus.json").write_text("{")
    with pytest.raises(CorpusError, match=r"corpus.json does not describe an imported corpus"):
        read_corpus(tmp_path / "corpus")
