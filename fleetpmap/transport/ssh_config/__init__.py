"""ssh_config's settings for a host.   host name, SshOptions ─► [ssh_config] ─► SshSettings

host_settings   `ssh -G HOST`, or config_files where there is no ssh, to SshSettings
config_files    a reader of ssh_config for machines without ssh
keywords        every option of ssh_config: its spelling, and its effect in fleetpmap
tokens          `%h` and `${VARIABLE}`, where ssh expands them
"""

from fleetpmap.transport.ssh_config.host_settings import CONNECT_TIMEOUT_S, SshSettings, resolve, settings_from

__all__ = ["CONNECT_TIMEOUT_S", "SshSettings", "resolve", "settings_from"]
