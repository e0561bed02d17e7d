"""The process's environment, made usable before a library reads it: a home, a user's name, no proxy for this machine itself."""

import os
import pwd
import tempfile
from pathlib import Path

_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy")
_OWN_ADDRESSES = ("localhost", "127.0.0.1", "::1")


def settle_environment() -> None:
    """Set what is missing; processes that are started later inherit it.

    - `HOME`, where it names no folder that can be written, as for a container's user id without an entry in passwd: a folder of
      this user in the system's folder of temporary files. Ray, Matplotlib and MLflow write there.
    - `USER`, where the user id has no name: getpass, and with it MLflow, asks for one.
    - `no_proxy`, where a proxy is named: servers on this machine are not asked for through it.
    """
    home = os.environ.get("HOME") or _home_of_user()
    if not home or not os.access(home, os.W_OK | os.X_OK):
        os.environ["HOME"] = str(_own_folder())
    if not any(os.environ.get(name) for name in ("LOGNAME", "USER", "LNAME", "USERNAME")) and _home_of_user() is None:
        os.environ["USER"] = f"uid-{os.getuid()}"
    if any(os.environ.get(name) or os.environ.get(name.upper()) for name in _PROXIES):
        known = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
        listed = [address for address in known.split(",") if address]
        own = ",".join([*listed, *(address for address in _OWN_ADDRESSES if address not in listed)])
        os.environ["no_proxy"] = os.environ["NO_PROXY"] = own


def _home_of_user() -> str | None:
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return None


def _own_folder() -> Path:
    """A folder that nobody but this user can write to."""
    folder = Path(tempfile.gettempdir(), f"acl-study-home-{os.getuid()}")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.lstat().st_uid == os.getuid() and not folder.is_symlink():
            return folder
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="acl-study-home-"))
