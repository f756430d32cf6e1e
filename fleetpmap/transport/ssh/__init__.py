"""SSH inside this process, by paramiko.   inventory.Host, ssh_config.SshSettings ─► [ssh] ─► base.Transport

    connection  the steps to a host: carrier ─► banner, kex (session) ─► host key (host_keys) ─► login (login)
    channel     one command; both of its streams are read together
    translate   every exception of paramiko and of sockets becomes one of ours there, nowhere else

The only package that uses paramiko, besides the demo's servers. Importing it costs a quarter of a second, so import it
only where it is needed.
"""

from fleetpmap.transport.ssh.connection import connect

__all__ = ["connect"]
