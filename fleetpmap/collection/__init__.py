"""Hosts are asked, and their replies become a snapshot.   inventory, transport, probe, wire ─► [collection] ─► report

collector   the recipe: every host asked, every reply interpreted, one Snapshot
host        one host: list, choose, read
sessions    sessions opened for one question, or kept open between the rounds of watch
session     the probe on one host: phases in the order of the wire format
pool        threads that ask hosts, and yield the replies in batches
interpret   replies to host snapshots; batch parses several at once, outcomes gives each process its status
redaction   the run's secrets removed from a reply
parts       the snapshots of hosts, or of many hosts, put together as they come
rows        the rows of a run that is saved, put aside while hosts are asked
oddities    notes about numbers that mean something else than usual
clock       the bounds of a run, and of each reply's interpretation
question    the input of a run
reply       one host's answer
"""
