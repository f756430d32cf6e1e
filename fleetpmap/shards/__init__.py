"""A fleet in parts that are asked apart.   hosts ─► [shards] ─► parts; Snapshot, Snapshot, … ─► Snapshot

division   hosts ─► parts, in order           merging   the snapshots of the parts ─► one of the fleet
"""
