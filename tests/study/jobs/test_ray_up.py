"""The cluster file of `acl-study launch ray-up`: valid for Ray."""

import copy
import shlex
import stat
import subprocess
from pathlib import Path

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from support.command_line import SMOKE, call

EVIL = """it's "$(touch pwned)" `touch pwned`; touch pwned # {{ 1 }} é"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_cluster_file_is_valid_for_ray(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--host", "10.0.0.1", "--host", "box2", "--data", f"/nfs/{EVIL}", "--home", f"/nfs/{EVIL}", "--ssh-user", "me"]
    out = here / EVIL.replace("/", " ")
    assert call(monkeypatch, "launch", "ray-up", str(SMOKE), *given, "--image", "me/acl:1", "--out", str(out)) == 0
    cluster = yaml.safe_load((out / "cluster.yaml").read_text())
    prepared = prepare_config(copy.deepcopy(cluster))  # as `ray up` does before it logs in anywhere
    validate_config(prepared)
    assert prepared["max_workers"] == 1
    assert cluster["provider"] == {"type": "local", "head_ip": "10.0.0.1", "worker_ips": ["box2"]}
    assert cluster["file_mounts"] == {"~/acl-study-smoke": str(out)}
    started = [*cluster["head_start_ray_commands"], *cluster["worker_start_ray_commands"]]
    assert all("RAY_AUTH_MODE=token" in command for command in started)
    assert shlex.split(cluster["docker"]["run_options"][0]) == ["--volume", f"/nfs/{EVIL}:/nfs/{EVIL}"]
    subprocess.run(["bash", "-n", out / "run.sh"], check=True)
    token = out / "auth_token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    secret = token.read_text()
    assert len(secret) == 64
    assert not [path for path in out.iterdir() if path != token and secret in path.read_text()]
    # Written again, e.g. with another machine: the cluster that runs keeps its token, and nothing shows it.
    assert call(monkeypatch, "launch", "ray-up", str(SMOKE), *given, "--out", str(out)) == 0
    assert token.read_text() == secret
    shown = capsys.readouterr()
    assert secret not in shown.out + shown.err
