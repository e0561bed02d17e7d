"""Stands in a raylet's list for a worker, which it has forked off a process that has imported the libraries; waits for its end."""

import array
import json
import os
import socket
import sys

server = socket.socket(socket.AF_UNIX)
server.connect(sys.argv[1])
request = {"is_worker": True, "arguments": sys.argv[2:], "environment": dict(os.environ), "folder": os.getcwd()}
ends = array.array("i", [1, 2])
server.sendmsg([json.dumps(request).encode() + b"\n"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, ends)])
answers = server.makefile()
answers.readline()  # the worker's process
sys.exit(int(answers.readline() or 1))
