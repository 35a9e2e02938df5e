"""What is answered to the name of a model that there is not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from negah.backends import BACKENDS, Backend
from negah.errors import UnknownNameError, UsageError
from negah.runtime import open_backend


class Kind:
    """A kind of another package that has no folders."""

    def recognises(self, path: Path) -> bool:
        return False

    def open(self, source: object, *, threads: int) -> Backend:
        raise UsageError(f"opened {source}")


@pytest.fixture(autouse=True)
def others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Two backends of other packages, and models of an installation."""
    monkeypatch.chdir(tmp_path)
    names = ("negah-photo", "negah-photo-fa", "negah-video")
    models = {name: tmp_path / name for name in names}
    monkeypatch.setattr("negah.runtime.models.bundled_models", lambda: models)
    with BACKENDS.temporary():
        BACKENDS.register("acme", Kind())
        BACKENDS.register("birds", Kind())
        yield


@pytest.mark.parametrize(
    ("name", "hint", "bundled", "kinds"),
    [
        ("acme", "Did you mean 'acme:NAME'?", None, "acme:NAME, "),
        ("acmee", "Did you mean 'acme:NAME'?", None, "acme:NAME, "),
        ("bird", "Did you mean 'birds:NAME'?", None, "birds:NAME, "),
        ("hf", "Did you mean 'hf:ORG/NAME'?", None, "hf:ORG/NAME, "),
        ("negah-vidio", "Did you mean 'negah-video'?", "negah-video, negah-photo", None),
        ("negah-photo-fas", "Did you mean 'negah-photo-fa'?", "negah-photo-fa, negah-photo,", None),
        ("Some-Org/git-base", "write 'hf:Some-Org/git-base'", None, None),
        ("./nowhere", None, None, None),
        ("xyzzy", None, None, None),
    ],
)
def test_the_nearest_is_named_first(
    name: str, hint: str | None, bundled: str | None, kinds: str | None
) -> None:
    with pytest.raises(UsageError) as error:
        open_backend(name)
    said = str(error.value)
    assert said.startswith(f"there is no folder {name!r} and no bundled model of that name.")
    assert (hint in said) if hint else not re.search("Did you mean|write", said)
    assert f"a bundled model: {bundled or ''}" in said
    assert f"KIND:NAME for another backend: {kinds or ''}" in said
    for known in ("hf:ORG/NAME", "acme:NAME", "birds:NAME", "negah-photo-fa", "negah-video"):
        assert known in said


def test_a_name_with_its_kind_is_opened_and_an_unknown_kind_is_answered() -> None:
    with pytest.raises(UsageError, match="opened acme:small"):
        open_backend("acme:small")
    with pytest.raises(UnknownNameError, match=r"kind of model 'acne'. Did you mean 'acme'\?"):
        open_backend("acne:small")
