"""Dependencies of the project: the same versions in both files, with digests, and every licence listed."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
HOSTS = re.compile(r"https?://|file://|--(?:extra-)?index-url|--find-links|--trusted-host")


def _normalised(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def _pins(file):
    pairs = re.findall(r"^([\w.-]+)==([^\s;\\]+)", (ROOT / file).read_text(), flags=re.MULTILINE)
    names = [_normalised(name) for name, _ in pairs]
    assert len(names) == len(set(names)), f"{file} lists a package twice"
    return dict(zip(names, (version for _, version in pairs), strict=True))


def _direct():
    listed = [*PROJECT["dependencies"], *(line for extra in PROJECT["optional-dependencies"].values() for line in extra)]
    return {re.match(r"[\w.-]+", line)[0] for line in listed} - {PROJECT["name"]}


def _stated(name):
    """A package's licence in its own words: the expression, the classifiers, or the first line of the field."""
    about = metadata.metadata(name)
    classes = [entry.rpartition(" :: ")[2] for entry in about.get_all("Classifier", []) if entry.startswith("License ::")]
    lines = (about.get("License") or "").strip().splitlines()
    return about.get("License-Expression") or ", ".join(classes) or (lines or ["not stated"])[0]


def test_the_hashed_versions_are_the_tested_ones():
    assert _pins("requirements-hashed.txt") == _pins("constraints.txt"), "make lock"


def test_every_hashed_version_has_digests_and_no_address():
    text = (ROOT / "requirements-hashed.txt").read_text()
    entries = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry) for entry in entries)
    for file in ("requirements-hashed.txt", "constraints.txt", "pyproject.toml"):
        assert not HOSTS.search((ROOT / file).read_text()), file


def test_every_dependency_has_a_tested_version():
    assert {_normalised(name) for name in _direct()} <= set(_pins("constraints.txt"))


def test_what_is_installed_here_is_what_the_files_say():
    tested = _pins("constraints.txt")
    for name in map(_normalised, _direct()):
        try:
            found = metadata.version(name).partition("+")[0]  # torch's build for CPUs calls itself 2.13.0+cpu
        except metadata.PackageNotFoundError:
            continue
        assert found == tested[name], name


@pytest.mark.parametrize("name", sorted(_direct()))
def test_the_licence_of_every_dependency_is_listed(name):
    rows = dict(re.findall(r"^\| ([\w.-]+) \| ([^|]+) \|", (ROOT / "docs" / "licences.md").read_text(), flags=re.MULTILINE))
    assert name in rows, f"add {name} to docs/licences.md"
    try:
        assert rows[name].strip() == _stated(name)
    except metadata.PackageNotFoundError:
        pytest.skip(f"{name} is not installed")


def test_the_citation_names_the_paper_and_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    paper = citation["preferred-citation"]
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(citation)
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"] == "MIT"
    assert [author["family-names"] for author in paper["authors"]] == ["Wang", "Tripathy", "Mesaros"]
    assert "2211.05442" in paper["url"]
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")
