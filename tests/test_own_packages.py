"""Which packages run: those of the command, whatever has their names elsewhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import acl_study
from study.execution import ray_session
from support.shared_ray import join_here

NAMES = ("acl", "study", "analysis")


@pytest.fixture
def shadowing(tmp_path: Path) -> Path:
    """A folder in which modules have the packages' names, and another one with packages without files."""
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('the wrong {name}')\n")
        (tmp_path / "empty" / name).mkdir(parents=True)
    return tmp_path


def test_neither_the_working_directory_nor_pythonpath_replaces_a_package(shadowing: Path) -> None:
    program = "import acl_study, acl, study.cli, analysis; print(*(module.__file__ for module in (acl, study, analysis)))"
    for path in (shadowing, shadowing / "empty"):
        command = [sys.executable, "-c", program]
        variables = os.environ | {"PYTHONPATH": str(path)}
        found = subprocess.run(command, cwd=path, env=variables, capture_output=True, text=True, check=False)
        assert found.stdout.split() == [f"{acl_study.ROOT}/{name}/__init__.py" for name in NAMES], found.stderr


def test_workers_search_beside_the_command_first_and_not_in_the_working_directory(
    shadowing: Path, shared_ray: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shadowing)
    monkeypatch.setattr(sys, "argv", [str(shadowing / "acl-study")])
    monkeypatch.syspath_prepend(str(shadowing))  # as Python does for a script in that folder
    join_here(shared_ray, monkeypatch)
    ray = ray_session.ray
    ray_session._start(None)
    try:
        found = ray.get(ray.remote(lambda: sys.path).remote())  # a function of this file could not be imported there
    finally:
        ray.shutdown()
    assert found[0] == acl_study.ROOT
    assert str(shadowing) not in found
