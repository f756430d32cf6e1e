"""A rival: asyncssh.   bare_asyncssh.py PORT USER KEY_FILE KNOWN_HOSTS COMMAND ADDRESS...

Runs the command on every host, 32 at once, and prints what each said. Runs in an environment that has asyncssh.
"""

import asyncio
import sys

import asyncssh

AT_ONCE = 32


async def main() -> None:
    port, user, key_file, known_hosts, command, *addresses = sys.argv[1:]
    key, turn = asyncssh.read_private_key(key_file), asyncio.Semaphore(AT_ONCE)
    to = {"port": int(port), "username": user, "client_keys": [key], "config": None, "known_hosts": known_hosts}

    async def ask(address: str) -> None:
        async with turn, asyncssh.connect(address, **to) as connection:
            said = await connection.run(command, check=True)
            sys.stdout.write(said.stdout)

    await asyncio.gather(*map(ask, addresses))


if __name__ == "__main__":
    asyncio.run(main())
