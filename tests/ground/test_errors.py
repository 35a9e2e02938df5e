"""Errors come from worker processes as they were raised there."""

from __future__ import annotations

import pickle

import pytest

from negah.errors import DataError, MediaError, MissingExtraError, NegahError, UnknownNameError


@pytest.mark.parametrize(
    "error",
    [
        DataError("two parts"),
        MediaError("photo.jpg", "is no photo"),
        MissingExtraError("timm", "training"),
        UnknownNameError("study", "gru-gate", ["gru-gates", "tokens"]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_pass_between_processes(error: NegahError) -> None:
    found = pickle.loads(pickle.dumps(error))
    assert type(found) is type(error)
    assert str(found) == str(error)
    assert vars(found) == vars(error)
