"""Tests of this folder export models."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session", autouse=True)
def _exports(one_export: None) -> None:
    """Graphs of one form are captured once."""
