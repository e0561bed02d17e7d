"""Stands in a raylet's list for a worker, which it has forked off a process that has imported the libraries; waits for its end."""

import array
import json
import os
import socket
import sys


def main(address: str, arguments: list[str]) -> int:
    """Have the worker forked; returns its exit status."""
    server = socket.socket(socket.AF_UNIX)
    server.connect(address)
    request = {"is_worker": True, "arguments": arguments, "environment": dict(os.environ), "folder": os.getcwd()}
    ends = array.array("i", [1, 2])
    server.sendmsg([json.dumps(request).encode() + b"\n"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, ends)])
    answers = server.makefile()
    answers.readline()  # the worker's process
    return int(answers.readline() or 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
