"""What runs on the host.   Request ─► [probe] ─► Script ─► transport"""

from fleetpmap.probe.script import Request, Script, render

__all__ = ["Request", "Script", "render"]
