"""A fleet in parts that are asked apart, and joined here.   hosts ─► [shards] ─► Snapshot

    hosts, Question ─► processes, on_dask ─┬─► worker: ask_all ─► Snapshot of a shard ─┐
                                           └─► worker: ask_all ─► Snapshot of a shard ─┴─► Parts

A shard is a few hundred hosts that follow each other in the fleet's order. A worker asks its hosts by the ordinary
`collector.ask_all`, in threads, and sends the snapshot of a shard when its last host has replied. So the parts can be
joined in the fleet's order, and a report does not show how many processes asked.

division    hosts ─► shards, in order
processes   workers on this machine (--workers): worker, start, messages
on_dask     workers of a Dask cluster (--on): shard_task
merging     the stored snapshots of several gateways (--shard I/N) ─► one of the fleet
"""
