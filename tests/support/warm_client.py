"""Have the server run a command with this process's files, and end as it does.   test ─► [warm_client] ─► warm"""

import json
import os
import signal
import socket
import struct
import sys

_LENGTH = struct.Struct("!I")


def ask(path: str, words: str) -> None:
    """Send the command, and end with its exit status, or by its signal."""
    place = os.getcwd()  # noqa: PTH109  # pathlib takes long to import
    task = json.dumps({"words": words, "environment": dict(os.environ), "place": place}).encode()
    server = socket.socket(socket.AF_UNIX)
    server.connect(path)
    socket.send_fds(server, [_LENGTH.pack(len(task))], [0, 1, 2])
    server.sendall(task)
    for number in range(3):
        os.close(number)  # a pipe is to end with the command
    ended = server.recv(_LENGTH.size, socket.MSG_WAITALL)
    status = os.waitstatus_to_exitcode(*_LENGTH.unpack(ended))
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


if __name__ == "__main__":
    with open(sys.argv[2]) as words:  # noqa: PTH123
        ask(sys.argv[1], words.read())
