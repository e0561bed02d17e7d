"""Pages of docs/: their commands parse, their links exist, and their tutorials run from start to end."""

import csv
import re
import shlex
import shutil
from pathlib import Path

import pytest
import typer.main

from study.cli.app import app
from study.spec.files import INCLUDE, read_mapping
from study.spec.resolve import resolve_study
from study.spec.space import Dimension
from study.spec.study import Study
from study.spec.sweep import Budget, Resources, Sweep
from support.documentation import DOCS, PAGES, ROOT, blocks, commands, follow
from support.shared_ray import variables


@pytest.mark.parametrize("page", PAGES)
def test_every_command_parses(page):
    for line in commands(page):
        command, words = typer.main.get_command(app), shlex.split(line, comments=True)[1:]
        while hasattr(command, "commands"):
            assert words, line
            command, words = command.commands[words[0]], words[1:]
        command.make_context(line, words)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_to_a_page_leads_to_one(page):
    for target in re.findall(r"\]\(([\w./-]+\.md)(?:#[\w-]+)?\)", (DOCS / page).read_text()):
        assert (DOCS / target).exists(), target


def test_every_page_is_in_the_table_of_contents():
    listed = re.findall(r"^[\w-]+$", (DOCS / "index.md").read_text(), flags=re.MULTILINE)
    assert {Path(page).stem for page in PAGES} - {"index"} <= set(listed)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_from_nothing_to_a_report_on_fsdnoisy18k(tiny, tmp_path, shared_ray):
    """A small corpus in its layout lies there already, as after the download; verifying it says that it is not FSDnoisy18k."""
    corpus = shutil.copytree(tiny, tmp_path / "FSDnoisy18k")
    (corpus / "corpus.json").unlink()
    (corpus / "FSDnoisy18k.doc").mkdir()
    printed = follow("tutorial-fsdnoisy18k.md", tmp_path, variables=variables(shared_ray))
    assert "not FSDnoisy18k, which has 18532 clips" in printed
    page = (tmp_path / "acl-runs" / "reports" / "first-try" / "index.html").read_text()
    assert "Table 1" in page
    assert "first-try is complete: nothing was left to run" in printed


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_study_on_own_recordings(tiny, tmp_path, shared_ray):
    """Recordings of four classes, in folders by their labels."""
    rows = []
    for split in ("train", "test"):
        with (tiny / "FSDnoisy18k.meta" / f"{split}.csv").open(newline="") as table:
            listed = [
                row
                for row in csv.DictReader(table)
                if row["label"] in ("Acoustic_guitar", "Bass_guitar", "Clapping", "Coin_dropping")
            ]
        for row in listed:
            path = Path(row["label"], f"{split}-{row['fname']}")
            (tmp_path / "recordings" / path.parent).mkdir(parents=True, exist_ok=True)
            shutil.copy(tiny / f"FSDnoisy18k.audio_{split}" / row["fname"], tmp_path / "recordings" / path)
            rows.append((path.as_posix(), row["label"], split))
    assert {row[1] for row in rows if row[2] == "test"} == {row[1] for row in rows}
    with (tmp_path / "clips.csv").open("w", newline="") as table:
        csv.writer(table).writerows([("path", "label", "split"), *rows])
    follow("tutorial-own-data.md", tmp_path, variables=variables(shared_ray))
    assert (tmp_path / "acl-runs" / "reports" / "margin" / "index.html").exists()
    assert len((tmp_path / "embeddings.csv").read_text().splitlines()) == 1 + len(rows)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_loss_and_an_encoder_are_added(tmp_path):
    """To a copy of the sources."""
    for name in ("acl", "study", "analysis", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("acl_study.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    printed = follow("tutorial-loss-and-encoder.md", tmp_path, sources=tmp_path)
    assert "3 passed" in printed
    assert "epoch 1/1 pretraining" in printed
    assert len(list((tmp_path / "acl-runs" / "studies" / "choices").glob("*/*/state"))) == 4
    page = (tmp_path / "acl-runs" / "reports" / "choices" / "index.html").read_text()
    assert "Baseline: loss.contrastive nt-xent, model.encoder resnet18." in page
    assert "the only candidate" not in page
    assert "Accuracy by model.encoder" in page


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_records_are_read_with_pandas(tmp_path, shared_ray):
    printed = follow("mlflow-with-pandas.md", tmp_path, variables=variables(shared_ray))
    assert "loss.alpha" in printed
    assert printed.rstrip().endswith("synthetic corpus, tiny, seed 0")


def test_every_field_of_a_study_file_is_explained():
    page = (DOCS / "study-file.md").read_text()
    explained = set(re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE)) | set(re.findall(r"`(cpus|gpus)`", page))
    fields = {INCLUDE}.union(*(part.model_fields for part in (Study, Sweep, Dimension, Budget, Resources)))
    assert explained == fields


def test_the_example_of_a_study_file_is_one():
    (example,) = (content for kind, content, _ in blocks("study-file.md") if kind == "yaml")
    assert resolve_study(read_mapping(example, "study-file.md")).runs == 12
