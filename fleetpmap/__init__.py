"""fleetpmap: where a service's memory is, on all its hosts."""

__version__ = "0.1.0"
