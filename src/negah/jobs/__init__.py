"""Jobs over many photos: shards in, a file of captions for each out, on any number of machines.

``inputs`` finds the shards, ``reading`` gives the photos of one, ``sinks`` write its captions,
``folders`` is where they go, a local folder or a bucket, ``claims`` keeps two processes from doing
the same shard at once, ``shards`` does the work, and ``engine`` has Ray do it.
"""
