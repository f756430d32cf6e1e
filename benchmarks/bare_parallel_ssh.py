"""A rival: parallel-ssh.   bare_parallel_ssh.py PORT USER KEY_FILE KNOWN_HOSTS COMMAND ADDRESS...

Runs the command on every host, 32 at once, and prints what each said. Its native client, which checks no host key. Runs
in an environment that has parallel-ssh.
"""

import sys

from pssh.clients import ParallelSSHClient

AT_ONCE = 32


def main() -> None:
    port, user, key_file, _, command, *addresses = sys.argv[1:]
    client = ParallelSSHClient(addresses, user=user, port=int(port), pkey=key_file, pool_size=AT_ONCE)
    answers = client.run_command(command)
    client.join(answers)
    for answer in answers:
        for line in answer.stdout:
            print(line)
        if answer.exit_code:
            sys.exit(f"{answer.host}: exit status {answer.exit_code}")


if __name__ == "__main__":
    main()
