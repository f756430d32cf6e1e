"""The script that runs on a host, and the errors of starting it.   Request ─► [probe] ─► Script ─► transport"""

from fleetpmap.probe.script import Request, Script, render

__all__ = ["Request", "Script", "render"]
