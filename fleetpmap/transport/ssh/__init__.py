"""SSH inside this process, by paramiko.   inventory.Host, ssh_config.SshSettings ─► [ssh] ─► base.Transport

    connect     tcp ─► banner, kex (session) ─► host key (host_keys) ─► login (login): all of it in connection
    run         one channel, both streams read together (channel)
    errors      every exception of paramiko and of sockets becomes one of ours in translate, nowhere else

The only place that knows paramiko. Importing it costs a quarter of a second: import this package where it is needed.
"""

from fleetpmap.transport.ssh.connection import connect

__all__ = ["connect"]
