"""Captioning many files as a job that may be killed at any moment and resumed.

Nothing here prints or draws; rows are passed through as text.

A job by shards can run on any number of machines: ``inputs`` finds the shards, ``reading`` yields
the photos of one, ``sinks`` write its captions, ``folders`` is the output, a local folder or a
bucket, ``claims`` keeps two processes from working on the same shard, ``share`` divides shards
without claims, ``shards`` captions one, ``sharing`` coordinates processes, and ``engine`` uses Ray.
"""
