"""Hosts are asked, and their replies become a snapshot.   inventory, transport, probe, wire ─► [collection] ─► report

collector      the recipe: every host asked, every reply interpreted, one Snapshot
sessions       sessions kept open between the rounds of watch
conversation   one host: list, choose, read
pool           worker threads, and the replies in the order in which they arrive
interpret      replies unpacked and put into batches; batch parses one; outcomes: what became of each process
clock          the time that interpreting may take
"""
