"""Ray's own launcher, `ray up`, for machines that one can log in to."""

import re
import secrets
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from study.errors import StudyError
from study.jobs.render import OBJECT_STORE_BYTES, STUDY_FILE, Addresses, render
from study.spec.study import Study
from study.state.study_folder import study_text

TOKEN_FILE = "auth_token"
TOKEN_BYTES = 32
_HOST = r"[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?"


@dataclass(frozen=True)
class RayUpCluster:
    """Machines that `ray up` starts Ray on.

    Attributes:
        hosts: names or addresses; the first is the head.
        data: folder of the corpus on the machines.
        home: folder of the results on the machines.
        user, key: for ssh.
        image: container image that Ray runs in, which sees `data` and `home`; None for none.
        addresses: of records and of the state of trials.
    """

    hosts: Sequence[str]
    data: str
    home: str
    user: str
    key: str | None
    image: str | None
    addresses: Addresses


def ray_up_files(study: Study, folder: Path, cluster: RayUpCluster) -> dict[str, str]:
    """The cluster's YAML, the study, the command that runs it, and the cluster's token, which an earlier call may have made.

    The files will lie in `folder`, which is copied to the machines.

    Raises:
        StudyError: there is no host, or one that is none.
    """
    _check_machines(cluster.hosts, cluster.user)
    remote = f"~/acl-study-{study.name}"
    common = {
        "name": study.name,
        "home": PurePosixPath(cluster.home),
        "remote": remote,
        "addresses": cluster.addresses,
        "prefix": f"export PATH=~/acl-study-env/bin:$PATH RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH={remote}/{TOKEN_FILE}; ",
    }
    content = render(
        "cluster.yaml.jinja",
        trials=study.runs,
        out=str(folder),
        hosts=list(cluster.hosts),
        user=cluster.user,
        key=cluster.key,
        image=cluster.image,
        # Ray pastes them into a command line
        run_options=[
            f"--volume {shlex.quote(f'{each}:{each}')}" for each in (PurePosixPath(cluster.home), PurePosixPath(cluster.data))
        ],
        store_bytes=OBJECT_STORE_BYTES,
        **common,
    )
    token = folder / TOKEN_FILE
    kept = token.read_text(encoding="utf-8") if token.exists() else secrets.token_hex(TOKEN_BYTES)
    return {"cluster.yaml": content, "run.sh": render("run.sh.jinja", **common), STUDY_FILE: study_text(study), TOKEN_FILE: kept}


def _check_machines(hosts: Sequence[str], user: str) -> None:
    if not hosts:
        raise StudyError("no machine to run on: pass --host ADDRESS for each, the head first")
    for value, option in [*((host, "--host") for host in hosts), (user, "--ssh-user")]:
        if not re.fullmatch(_HOST if option == "--host" else r"[\w.-]+", value, re.ASCII):
            raise StudyError(f"{option} {value!r} is none; e.g. --host 192.168.1.20 --ssh-user me")
    if len(set(hosts)) < len(hosts):
        raise StudyError(f"--host names a machine twice: {', '.join(hosts)}")
