"""What all tests share: where the repository is, and how long they wait for a process."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

#: Seconds after which a process, a thread or an answer that has not come is a fault: far more than
#: any takes on a busy machine, since it only keeps a test that hangs from hanging for good.
PATIENCE = 900
