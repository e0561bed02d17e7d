"""A Ray session: started, watched and ended."""

import atexit
import contextlib
import errno
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import acl_study
from acl.system.os_errors import is_of_the_disk
from acl.system.signals import EXIT_STATUS
from acl.system.text import first_line

# Ray reads these when it is imported.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")  # a trial that asks for no GPU sees none
os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")
os.environ.setdefault("RAY_worker_niceness", "15")  # Ray's own default
os.environ.setdefault("RAY_prestart_worker_first_driver", "0")  # one idle process a core: trials get processes of their own
# The banner of Ray's newer output cannot be turned off; progress is shown by our own callback.
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
# Records go to MLflow; Ray's CSV and JSON copies of them cost a second a trial.
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("TUNE_DISABLE_STRICT_METRIC_CHECKING", "1")  # probe accuracies come with the last epoch only
os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "86400")  # the journal is what a sweep is resumed from
# As many workers as there is room for start together; by itself Ray starts them one by one. `trial_queue` says how many wait.
os.environ.setdefault("TUNE_MAX_PENDING_TRIALS_PG", "10000")
os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")  # study.execution.interruption has its own
os.environ.setdefault("TUNE_FORCE_TRIAL_CLEANUP_S", "10")  # a worker that does not end its epoch soon is ended
# For workers, in which a trial is a thread: so it can use memory again that it has freed (see acl.system.memory).
os.environ.setdefault("MALLOC_ARENA_MAX", "1")

import ray
from ray._private import utils as ray_utils
from ray._private import worker as ray_worker
from ray._private.node import Node
from ray.job_config import JobConfig

from study.errors import StudyError
from study.execution.failures import Failure
from study.execution.interruption import Interruption, not_needed
from study.machine import ray_folder

NICENESS = "RAY_worker_niceness"
_ESSENTIAL = ("gcs_server", "raylet")  # processes of Ray without which no trial can run
# What Ray starts besides for every session: an autoscaler, a reader of workers' logs, which are not shown, and the dashboard's
# server, with or without dashboard: three processes of Python, which take 5 s of the processor to start.
_NOT_NEEDED = ("start_monitor", "start_log_monitor", "start_api_server")
_LOOK_SECONDS = 1.0
_CONNECT_SECONDS = 3.0
_SILENCE_SECONDS = 40.0  # of a cluster's head, which may be restarted; after a minute Ray ends the process
_OWN_SILENCE_SECONDS = 2.0  # of a head that this process has started: nobody restarts it
_SETTLE_SECONDS = 1.5  # in which a death of Ray's shows: it ends its workers before itself
_SETTLE_POLL_SECONDS = 0.05
_GRACE_SECONDS = 5.0  # for the launch to end by itself, of which Ray may be in the way


def niceness() -> int:
    """The scheduling priority of the workers of a session on this machine: 0 is the usual one, 19 the lowest."""
    return int(os.environ[NICENESS])


def ray_is_gone(interruption: Interruption, failure: Failure) -> bool:
    """Whether Ray itself is gone, and the worker that failed with it. If so, this interrupts the launch, except that the head of a
    cluster may come back.

    A worker can be gone before the process of Ray whose end took it along, so a session of this process's own is given a moment.
    """
    if failure.ray_is_lost or (failure.node_is_lost and _is_own_session()):
        interruption.request("Ray was ended")
        return True
    deadline = time.monotonic() + (_SETTLE_SECONDS if _is_own_session() else 0)
    while not (is_gone := _process_has_ended(interruption) or not _head_answers()) and time.monotonic() < deadline:
        time.sleep(_SETTLE_POLL_SECONDS)
    return is_gone


def _is_own_session() -> bool:
    """Whether this process has started Ray, on this machine alone."""
    node = ray_worker._global_node
    return node is not None and bool(node.all_processes)


def _process_has_ended(interruption: Interruption) -> bool:
    """Without its head, Ray itself waits a minute and then ends the process in its own words."""
    node = ray_worker._global_node
    ended = [name for name, _ in node.dead_processes() if name in _ESSENTIAL] if node is not None else []
    if ended:
        interruption.request(f"Ray's process {ended[0]} was killed or crashed")
    return bool(ended)


def _head_answers() -> bool:
    """Whether something listens where the head of the session's cluster does; True where there is no session."""
    node = ray_worker._global_node
    return node is None or _listens(node.gcs_address)


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS).close()
    except (OSError, ValueError):
        return False
    return True


@contextmanager
def ray_session(address: str | None, interruption: Interruption) -> Iterator[None]:
    """A Ray session: of this process alone, or on the cluster at `address`.

    When Ray is gone, the launch is interrupted; should it hang in Ray, the process ends.

    Raises:
        StudyError: Ray does not start, or there is no cluster.
    """
    ray_utils.set_sigterm_handler = lambda handler: None  # SIGTERM is study.execution.interruption's, also while Ray starts
    # What Ray pushes to its driver, e.g. twenty lines of log when its raylet dies, it prints past logging.
    ray_worker.print_to_stdstream = lambda data, ignore_prefix: None
    try:
        _start(address)
    except Exception as error:  # of many kinds, and long
        raise StudyError(_why_not(error, address)) from error
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))  # Ray's C++ part has put its own handler, which aborts, over it
    # Failures of trials are shown in one line each; Ray's own loggers have their levels set by init.
    for name in ("ray", *(name for name in logging.root.manager.loggerDict if name.startswith("ray."))):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    over, left, silent = threading.Event(), threading.Event(), threading.Event()
    patience = _OWN_SILENCE_SECONDS if address is None else _SILENCE_SECONDS

    def watch() -> None:
        answered = time.monotonic()
        while not over.wait(_LOOK_SECONDS):
            answered = time.monotonic() if _head_answers() else answered
            if time.monotonic() - answered > patience:
                head = "Ray's head" if address is None else "the head of the Ray cluster"
                interruption.request(f"{head} has not answered for {patience:g} s")
                silent.set()
            if silent.is_set() or _process_has_ended(interruption):
                if not left.wait(_GRACE_SECONDS):
                    print(
                        f"\n{interruption.reason}: ended at once; continue with: {interruption.resume}", file=sys.stderr, flush=True
                    )
                    ray_worker._global_node.kill_all_processes(check_alive=False, allow_graceful=False)
                    not_needed()
                    os._exit(EXIT_STATUS)
                return

    threading.Thread(target=watch, name="ray-watch", daemon=True).start()
    try:
        yield
    finally:
        left.set()
        if silent.is_set() or _process_has_ended(
            interruption
        ):  # nobody would answer a shutdown, of which the interpreter's end is one, too
            ray_worker._global_node.kill_all_processes(check_alive=False, allow_graceful=False)
            atexit.register(_end_at_once)
        else:
            over.set()
            ray.shutdown()


def try_ray() -> None:
    """Start Ray on this machine, run a task, end it; exit status 1 with a line on standard error where that fails."""
    try:
        with ray_session(None, Interruption("")):
            ray.get(ray.remote(_process).remote())
    except Exception as error:  # of many kinds, e.g. a worker that cannot start
        sys.exit(str(error) if isinstance(error, StudyError) else f"Ray runs no task: {first_line(error, '')}")


def _process() -> int:
    return os.getpid()


def _start(address: str | None) -> None:
    if address is not None:
        if "://" in address:
            raise ValueError("Ray's client cannot run studies: log in to a machine of the cluster, and pass HOST:PORT or auto")
        if ":" in address and not _listens(address):  # Ray itself would try for minutes
            raise ConnectionError("nothing listens there")
        for_workers = {"env_vars": {"MALLOC_ARENA_MAX": os.environ["MALLOC_ARENA_MAX"]}}  # those of a session of our own inherit it
        ray.init(address=address, runtime_env=for_workers, job_config=_OwnCode(), log_to_driver=False, logging_level=logging.ERROR)
        return
    _keep_token_to_its_user()
    for start in _NOT_NEEDED:
        setattr(Node, start, lambda node, **options: None)
    ray.init(address="local", include_dashboard=False, job_config=_OwnCode(), log_to_driver=False, logging_level=logging.ERROR)


class _OwnCode(JobConfig):
    """Lets workers import the packages of this process, and nothing from its working directory.

    Ray itself puts the folder of the command and the working directory before all others on the workers' path: another clone, or a
    folder that a user has called `study`, would be what trials run.
    """

    def __init__(self) -> None:
        super().__init__(_py_driver_sys_path=[acl_study.ROOT])

    def _runtime_env_has_working_dir(self) -> bool:
        return True  # the one case in which Ray adds neither


def _why_not(error: Exception, address: str | None) -> str:
    said = first_line(error).rstrip(".")
    if address is None:
        return f"Ray does not start: {said}; {start_remedy(error)}"
    if "token" in str(error).lower():
        return (
            f"the Ray cluster at {address} wants its token; have RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN_PATH name a file with the "
            "token that the cluster was started with"
        )
    return f"no Ray cluster at {address} ({said}); start it, or correct --address"


def start_remedy(error: Exception) -> str:
    """What helps where Ray has not started, by the cause."""
    folder, home = ray_folder(), Path("~").expanduser()
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__ or cause.__context__
    number = None if cause is None else cause.errno
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        if cause is not None and str(cause.filename).startswith(str(home / ".ray")):
            return f"it cannot write in {home}: make that folder writable, or set HOME to one that is"
        return f"{folder} is another user's, or cannot be written: set RAY_TMPDIR to a folder of yours with a short path"
    if number == errno.ENAMETOOLONG or "AF_UNIX" in str(error):
        return f"the path of {folder} is too long for sockets: set RAY_TMPDIR to one with a short path, e.g. /tmp/{os.getuid()}"
    if is_of_the_disk(cause):
        return f"make room in {folder}, or set RAY_TMPDIR to a folder on another disk, with a short path"
    if number in (errno.EAGAIN, errno.ENOMEM) or "can't start new thread" in str(error):
        return "the limit of processes and threads (ulimit -u, or the container's) or memory is used up: raise it, or end others"
    return f"look into {folder}/session_latest/logs, and try again when the machine is less busy"


def _keep_token_to_its_user() -> None:
    """Ray guards its sessions by a token in a file that it makes readable for everybody."""
    token = Path.home() / ".ray" / "auth_token"
    with contextlib.suppress(OSError):  # no home folder: Ray says what it misses
        token.parent.mkdir(mode=0o700, exist_ok=True)
        token.touch(mode=0o600)
        token.chmod(0o600)


def _end_at_once() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    not_needed()
    os._exit(EXIT_STATUS)
