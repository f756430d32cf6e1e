"""The reference: a bare paramiko loop.   bare_paramiko.py PORT USER KEY_FILE KNOWN_HOSTS NAME ADDRESS...

What one would write in an afternoon: 32 threads, one command per host that finds the processes called NAME and sends
their smaps through gzip. No host key is checked, no text is parsed, the bytes are dropped; it prints how many came.
"""

import logging
import sys
from concurrent.futures import ThreadPoolExecutor

import paramiko

THREADS = 32
COMMAND = "cd /proc && cat $(pgrep -x {name} | sed s,$,/smaps,) | gzip -1"
PIECE = 1 << 20


def ask(address: str, port: int, user: str, key: paramiko.PKey, name: str) -> int:
    """Bytes that came from one host."""
    with paramiko.SSHClient() as client:
        client.set_missing_host_key_policy(paramiko.MissingHostKeyPolicy())  # it takes any key
        client.connect(address, port, user, pkey=key, allow_agent=False, look_for_keys=False)
        _, stdout, _ = client.exec_command(COMMAND.format(name=name))
        received = sum(map(len, iter(lambda: stdout.read(PIECE), b"")))
        if stdout.channel.recv_exit_status():
            raise SystemExit(f"{address}: the command failed")
        return received


def main() -> None:
    port, user, key_file, _, name, *addresses = sys.argv[1:]
    key = paramiko.PKey.from_path(key_file)
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    with ThreadPoolExecutor(THREADS) as threads:
        print(sum(threads.map(lambda address: ask(address, int(port), user, key, name), addresses)))


if __name__ == "__main__":
    main()
