"""ssh_config's settings for a host.   host name, SshOptions ─► [ssh_config] ─► SshSettings

ssh_query       `ssh -G HOST`, or config_files where there is no ssh
host_settings   their option values to SshSettings
config_files    a reader of ssh_config for machines without ssh
keywords        every option of ssh_config: its spelling, and its effect in fleetpmap
tokens          `%h` and `${VARIABLE}`, where ssh expands them
"""

from fleetpmap.transport.ssh_config.config_files import host_names
from fleetpmap.transport.ssh_config.host_settings import CONNECT_TIMEOUT_S, SshSettings, settings_from
from fleetpmap.transport.ssh_config.ssh_query import resolve

__all__ = ["CONNECT_TIMEOUT_S", "SshSettings", "host_names", "resolve", "settings_from"]
