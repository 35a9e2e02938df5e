"""Captioning many files as a job that may be killed at any moment and resumed.

Nothing here prints or draws: rows come in as text, and go out as they came.

By shards, a job is done by any number of machines: ``inputs`` finds the shards, ``reading`` gives
the photos of one, ``sinks`` write its captions, ``folders`` is where they go, a local folder or a
bucket, ``claims`` keeps two processes from doing one shard at once, ``share`` tells which are
whose, ``shards`` captions one, ``sharing`` has processes share them, and ``engine`` has Ray do it.
"""
