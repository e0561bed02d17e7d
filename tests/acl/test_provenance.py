"""Provenance of a run, checked against git, the files and the machine."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from acl.data.fsdnoisy18k import read_corpus
from acl.provenance import PROVENANCE_FILE, append_provenance, describe_hardware, describe_run, describe_versions
from acl.store.feature_store import FeatureStore
from acl.store.prepare import prepare
from support.command_line import python
from support.training_runs import config

PROJECT = Path(__file__).parents[2]


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    return subprocess.run(["git", "-C", folder, *identity, *arguments], capture_output=True, text=True, check=True).stdout.strip()


def code_of(checkout: Path) -> dict[str, object]:
    """`describe_code` as another process sees it that imports the package from `checkout`."""
    command = "import json; from acl.provenance import describe_code; print(json.dumps(describe_code()))"
    described: dict[str, object] = json.loads(python("-c", command, env={"PYTHONPATH": str(checkout)}, folder=checkout))
    return described


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository with a copy of the sources, all committed."""
    root = tmp_path_factory.mktemp("checkout")
    shutil.copytree(PROJECT / "acl", root / "acl", ignore=shutil.ignore_patterns("__pycache__"))
    (root / ".gitignore").write_text("__pycache__/\n")
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "sources")
    return root


def test_commit_and_changes_are_those_of_git(checkout: Path) -> None:
    (checkout / "notes.txt").write_text("not a source")
    clean = code_of(checkout)
    assert clean["git_commit"] == git(checkout, "rev-parse", "HEAD")
    assert (clean["git_dirty"], clean["git_diff_sha256"]) == (False, None)
    (checkout / "acl" / "new_loss.py").write_text("x = 1")
    added = code_of(checkout)
    (checkout / "acl" / "new_loss.py").write_bytes(b"x = 2  # gr\xf6\xdfer")  # not UTF-8
    edited = code_of(checkout)
    with (checkout / "acl" / "probe.py").open("ab") as source:
        source.write(b"# gr\xf6\xdfer\n")
    changed = code_of(checkout)
    assert added["git_dirty"] is edited["git_dirty"] is changed["git_dirty"] is True
    assert len({added["git_diff_sha256"], edited["git_diff_sha256"], changed["git_diff_sha256"], None}) == 4


def test_a_commit_made_after_the_import_is_not_recorded(tmp_path: Path) -> None:
    shutil.copytree(PROJECT / "acl", tmp_path / "acl", ignore=shutil.ignore_patterns("__pycache__"))
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "acl")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    script = (
        "import subprocess; from acl.provenance import describe_code; before = describe_code()['git_commit'];"
        "subprocess.run('git -c user.name=t -c user.email=t commit -q --allow-empty -m second'.split(), check=True);"
        "assert describe_code()['git_commit'] == before"
    )
    python("-c", script, env={"PYTHONPATH": str(tmp_path)}, folder=tmp_path)
    assert git(tmp_path, "rev-list", "--count", "HEAD") == "2"


def test_without_git_the_reason_is_given(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    described = code_of(checkout)
    assert described["git_commit"] is described["git_dirty"] is None
    assert "git" in str(described["no_commit_because"])


def test_an_installed_copy_in_another_repository_has_no_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "thesis.tex").write_text("")
    git(tmp_path, "add", "thesis.tex")
    git(tmp_path, "commit", "--quiet", "--message", "thesis")
    shutil.copytree(PROJECT / "acl", tmp_path / "acl", ignore=shutil.ignore_patterns("__pycache__"))
    described = code_of(tmp_path)
    assert described["git_commit"] is None
    assert described["no_commit_because"] == "not a git checkout"


def test_versions_and_hardware_are_those_of_this_process() -> None:
    assert describe_versions()["torch"].partition("+")[0] == torch.__version__.partition("+")[0]
    assert describe_versions()["python"] == sys.version.split()[0]
    hardware = describe_hardware()
    assert hardware["cores"] == len(os.sched_getaffinity(0))
    assert (hardware["gpu"] is not None) == torch.cuda.is_available()
    assert hardware["cpu"]


def test_a_damaged_list_of_launches_shows_its_gap(tiny_corpus: Path, tmp_path: Path) -> None:
    store = FeatureStore.open(tiny_corpus, "self-supervised")
    launch = describe_run(config("self-supervised", tiny_corpus, seed=7), store, torch.device("cpu"))
    assert (launch["seed"], launch["device"], launch["threads"]) == (7, "cpu", torch.get_num_threads())
    assert launch["gpu_share"] == 0
    assert launch["features_sha256"] == store.metadata["content_sha256"]
    assert launch["clips_left_out"] == 0
    path = tmp_path / "run" / PROVENANCE_FILE
    append_provenance(path.parent, launch)
    append_provenance(path.parent, {**launch, "seed": 8})
    assert json.loads(path.read_text()) == [launch, {**launch, "seed": 8}]
    path.write_text("[{")
    append_provenance(path.parent, launch)
    assert json.loads(path.read_text()) == [{"unreadable": PROVENANCE_FILE}, launch]


def test_the_corpus_digest_is_that_of_labels_flags_and_audio(tiny_corpus: Path, tmp_path: Path) -> None:
    clips = [
        [
            clip.split,
            clip.name,
            clip.label,
            clip.manually_verified,
            clip.noisy_small,
            hashlib.sha256(clip.path.read_bytes()).hexdigest(),
        ]
        for clip in read_corpus(tiny_corpus).clips
    ]
    expected = hashlib.sha256(json.dumps(sorted(clips)).encode()).hexdigest()
    digests = {FeatureStore.open(tiny_corpus, mode).metadata["corpus_sha256"] for mode in ("supervised", "self-supervised")}
    assert digests == {expected}
    moved = tmp_path / "moved"
    shutil.copytree(tiny_corpus, moved, ignore=shutil.ignore_patterns("features"))
    wav = next((moved / "FSDnoisy18k.audio_test").iterdir())
    data = bytearray(wav.read_bytes())
    data[-1] ^= 1  # the least audible change
    wav.write_bytes(data)
    prepare(moved, ["supervised"], workers=1)
    assert FeatureStore.open(moved, "supervised").metadata["corpus_sha256"] != expected
