"""``python -m negah``: the command line without the ``negah`` script."""

from __future__ import annotations

import sys

from negah.cli.main import run

sys.exit(run())
