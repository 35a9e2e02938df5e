"""``python -m negah``: the command line without the ``negah`` script."""

from __future__ import annotations

from negah.cli.entry import main

main()
