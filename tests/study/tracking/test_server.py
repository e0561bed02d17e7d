"""Options of the command `server`: what is refused before it starts, and where the administrator's password is kept."""

import signal
import stat
import sys
from pathlib import Path

import pytest

from study.errors import StudyError
from study.state.home import Home
from study.tracking import server
from study.tracking.server import PASSWORD_VARIABLE, ServerOptions, authentication, known_names
from study.tracking.store import begin_store
from study.tracking.uri import check_no_password
from support.command_line import call
from support.mlflow_records import with_empty_store
from support.tracking_server import free_port


def options(host: str, *names: str) -> ServerOptions:
    return ServerOptions(None, None, host, 5000, None, names, None, None, 1)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--host", "0.0.0.0"], "--host 0.0.0.0: whoever reaches it could read, change and delete all records; add --auth"),
        (["--host", "192.0.2.1", "--no-auth"], "--host 192.0.2.1 is no address of this machine"),
        (["--host", "no-such-name.invalid", "--no-auth"], "--host no-such-name.invalid is no address of this machine"),
        (["--database", "postgresql://me:secret@127.0.0.1/x"], "no password in an address"),
        (["--database", "http://127.0.0.1:9"], "--database http://127.0.0.1:9 is no database"),
        (["--database", "postgresql://me@127.0.0.1:9/x"], "the MLflow store postgresql://me@127.0.0.1:9/x does not answer"),
        (["--certificate", __file__], "--certificate and --key belong together"),
        (["--certificate", "/nowhere.pem", "--key", "/nowhere.pem"], "/nowhere.pem is no file"),
        (["--artifacts", "s3://key:secret@bucket"], "no password in an address"),
    ],
)
def test_wrong_and_unsafe_options_are_refused_in_a_line(
    arguments: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())  # boto3 is not what is asked for here
    assert call(monkeypatch, "server", "--home", str(tmp_path), *arguments) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"error: {says}")
    assert "secret" not in line


def test_a_database_whose_files_lie_in_a_folder_is_not_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    home = Home(with_empty_store(tmp_path))
    begin_store(home.store_uri, home.artifacts)
    assert call(monkeypatch, "server", "--home", str(tmp_path), "--port", "59999", "--database", home.store_uri) == 1
    assert f"keep their files in {home.artifacts.as_uri()}" in capfd.readouterr().err


def test_a_short_password_is_refused_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, "tiny-word")
    assert call(monkeypatch, "server", "--home", str(tmp_path), "--auth") == 1
    err = capfd.readouterr().err
    assert err.startswith(f"error: {PASSWORD_VARIABLE} is too short")
    assert "tiny-word" not in err


def test_a_missing_password_is_made_once_for_the_owner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PASSWORD_VARIABLE, raising=False)
    home = Home(tmp_path)
    home.server.mkdir()
    settings, note = authentication(home)
    kept = home.server / "admin-password"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert str(kept) in note
    assert settings[PASSWORD_VARIABLE] == kept.read_text().strip()
    assert settings[PASSWORD_VARIABLE] not in note
    assert settings[PASSWORD_VARIABLE] not in (home.server / "auth.ini").read_text()
    (home.server / "users.db").touch()  # the server has been started
    assert authentication(home)[0][PASSWORD_VARIABLE] == settings[PASSWORD_VARIABLE]
    kept.unlink()
    settings, note = authentication(home)
    assert PASSWORD_VARIABLE not in settings
    assert f"the one in {PASSWORD_VARIABLE} at the first start" in note


def test_names_that_others_call_the_server_by_come_first() -> None:
    assert known_names(options("127.0.0.1")) == ["127.0.0.1", "localhost"]
    assert known_names(options("::1")) == ["[::1]", "localhost", "127.0.0.1"]
    assert known_names(options("0.0.0.0", "records.example"))[0] == "records.example"


@pytest.mark.parametrize(
    "address",
    [
        "http://me@server:5000",  # the name would take the place of that in the environment
        "https://server/?token=secret",
        "postgresql://me:secret@server/records",
        "postgresql://server/records?user=me&password=secret",
    ],
)
def test_no_secret_in_an_address(address: str) -> None:
    with pytest.raises(StudyError, match="no password in an address") as refused:
        check_no_password(address)
    assert "secret" not in str(refused.value)


def test_a_server_that_never_answers_ends_the_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_START_SECONDS", 0.1)
    monkeypatch.setattr(server, "_command", lambda listener: [sys.executable, "-c", "import time; time.sleep(60)"])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(StudyError, match=r"has not answered at http://127.0.0.1:\d+/health within 0.1 s; try again"):
        server.serve(f"sqlite:///{tmp_path}/mlflow.db", server.Listener(free_port()), lambda: None)
