"""`python -m fleetpmap`."""

from fleetpmap.cli import main

main()
