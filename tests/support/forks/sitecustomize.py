"""Stand-in for a process of Python that a fork server forks instead; see `support.preloaded`.

Python imports a module of this name when it starts, if its folder is in PYTHONPATH. Where Python is to run a command line, MLflow's
server or a program of Ray, and the variable names the fork server of its session, that server forks a process that has imported the
libraries. This process waits for it: it passes SIGTERM on, ends as the forked process ends, and takes that process along when it is
killed. In a session of its own, Python runs the program as ever.
"""

import os
import sys

FORK_SERVER = "ACL_TESTS_FORK_SERVER"  # variable with the abstract name of a server's socket, at whose end its session stands
STAND_IN = "acl-stand-in"  # what the system calls this process, at most 15 characters
_PROGRAMS = ("acl-study", "ray")
_MODULES = ("mlflow", "uvicorn")
_OF_RAY = (  # scripts of Ray
    "/ray/_private/log_monitor.py",
    "/ray/_private/runtime_env/agent/main.py",
    "/ray/_private/workers/default_worker.py",
    "/ray/_private/workers/setup_worker.py",
    "/ray/autoscaler/_private/monitor.py",
    "/ray/dashboard/agent.py",
    "/ray/dashboard/dashboard.py",
)


def program_of(words: list[str]) -> list[str] | None:
    """Return a command of Python without Python itself, None if the fork server does not know the program."""
    while words and words[0] in ("-P", "-s", "-u"):
        words = words[1:]
    if words[:2] == ["-m", "study.cli"]:
        return ["acl-study", *words[2:]]
    if words[:1] == ["-m"] and words[1] in _MODULES:
        return ["python", *words]
    if words and os.path.basename(words[0]) in _PROGRAMS:
        return [os.path.basename(words[0]), *words[1:]]
    return words if words and words[0].endswith(_OF_RAY) else None


def _stand_in(program: list[str], server: str) -> None:
    import array
    import json
    import signal
    import socket

    there = socket.socket(socket.AF_UNIX)
    try:
        there.connect(f"\0{server}")
    except OSError:  # the server has ended: the program runs in this process
        return
    with open("/proc/self/comm", "w") as name:
        name.write(STAND_IN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the forked process, too
    signal.signal(signal.SIGTERM, lambda number, frame: there.sendall(b"%d\n" % number))
    request = {
        "program": program,
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "blocked": [int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())],
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
    }
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))
    there.sendmsg([json.dumps(request).encode() + b"\n"], [rights])
    answers = there.makefile()
    answers.readline()  # the process's number
    status = int(answers.readline() or -signal.SIGKILL)
    if status < 0:
        if status != -signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


_server = os.environ.get(FORK_SERVER, "")
if _server.endswith(f"-{os.getsid(0)}") and (_program := program_of(sys.orig_argv[1:])) is not None:
    _stand_in(_program, _server)
