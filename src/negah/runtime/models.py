"""Finding and opening the model that a user names: a bundled one, a path, or SCHEME:REST."""

from __future__ import annotations

import difflib
import importlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from negah.backends import BACKENDS, Backend
from negah.bundle.packaged import bundled_models
from negah.bundle.schema import TOKENIZER_FILE
from negah.errors import (
    BundleError,
    DataError,
    MissingExtraError,
    UnknownNameError,
    UsageError,
)
from negah.extras import EXTRAS
from negah.run_folder import RunFolder
from negah.text import load_tokenizer
from negah.text.languages import DEFAULT, LANGUAGES, refuse_several

#: The model that captions when none is named.
DEFAULT_BUNDLE = "negah-photo"

#: The model that captions clips when none is named; where it is not installed, the other does.
DEFAULT_CLIP_BUNDLE = "negah-video"

#: How names of models on Hugging Face look: ``ORG/NAME``.
_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")


def open_backend(
    model: str | os.PathLike[str] | None = None,
    *,
    clips: bool = False,
    language: str | None = None,
    threads: int = 1,
) -> Backend:
    """Open a model.

    Args:
        model: ``SCHEME:REST``, where a kind of :data:`~negah.backends.BACKENDS` is called SCHEME
            (``hf:ORG/NAME``); or as :func:`find_bundle` takes it, the folder of a bundle, of a
            training run, or of a Hugging Face captioner.
        clips: whether the default model is to caption clips.
        language: that it captions in, by its code; None for what the model does.
        threads: cores that its captioner uses.

    Raises:
        UsageError: there is no such model, or it captions in another language.
        BundleError: it is no model of a known kind, or a damaged one; or there is no default model.
        NegahError: as the kind's own :meth:`~negah.backends.BackendKind.open`.
    """
    backend = _open(model, clips=clips, language=language, threads=threads)
    check_language(backend, language)
    return backend


def _open(
    model: str | os.PathLike[str] | None, *, clips: bool, language: str | None, threads: int
) -> Backend:
    if model is not None and not Path(model).exists():
        name = os.fspath(model)
        scheme, colon, rest = name.partition(":")
        if colon and scheme in BACKENDS:
            kind = BACKENDS.get(scheme)
            return kind.open(rest if Path(rest).exists() else name, threads=threads)
        if colon and os.sep not in scheme:
            raise UnknownNameError("kind of model", scheme, BACKENDS, BACKENDS.group)
    path = find_bundle(model, clips=clips, language=language)
    for name in BACKENDS:
        kind = BACKENDS.get(name)
        if kind.recognises(path):
            return kind.open(path, threads=threads)
    # treat the folder as a bundle, whose error says what is missing
    return BACKENDS.get("bundle").open(path, threads=threads)


class RunKind:
    """Training runs, as a :class:`~negah.backends.BackendKind`; PyTorch runs them."""

    def recognises(self, path: Path) -> bool:
        """Whether it is the folder of a training run."""
        return RunFolder(path).is_run

    def open(self, source: str | os.PathLike[str], *, threads: int) -> Backend:
        """See :meth:`negah.backends.BackendKind.open`.

        Raises:
            UsageError: the run has not validated an epoch yet.
            CheckpointError: its files are damaged or do not belong together.
            MissingExtraError: the extra ``train`` is not installed.
        """
        try:
            # imported by name: the runtime must not depend on the training packages
            module = importlib.import_module("negah.export.backend")
        except ModuleNotFoundError as error:
            if error.name is None or error.name.startswith("negah"):
                raise
            missing = error.name.partition(".")[0]
            known = missing if missing in EXTRAS else "torch"
            raise MissingExtraError(known, f"{source}, a training run,", extra="train") from None
        backend: Backend = module.open_run(source)
        return backend


RUN_KIND = RunKind()


def find_bundle(
    model: str | os.PathLike[str] | None = None,
    *,
    clips: bool = False,
    language: str | None = None,
) -> Path:
    """The folder of a model.

    Args:
        model: the name of a bundled model, or the path of any model's folder; None for the
            default model. A name wins over a folder of that name in the current directory:
            write ``./name`` for the folder.
        clips: whether the default model is to caption clips.
        language: of the default model, by its code; None for English.

    Raises:
        BundleError: there is no default model in this installation.
        UsageError: neither the name of a model nor the path of anything.
    """
    models = bundled_models()
    if model is None and language not in (None, DEFAULT):
        return _of_language(language, models, clips=clips)
    if model is None:
        if clips and DEFAULT_CLIP_BUNDLE in models:
            return models[DEFAULT_CLIP_BUNDLE]
        if DEFAULT_BUNDLE not in models:
            raise BundleError(
                f"this installation of Negah holds no default model ({DEFAULT_BUNDLE}): install "
                "a released version, or name a bundle of your own (--model PATH, "
                "negah.load(PATH))"
            )
        return models[DEFAULT_BUNDLE]
    name = os.fspath(model)
    if name in models:
        return models[name]
    path = Path(model)
    if not path.exists():
        raise UsageError(_unknown(name, models))
    return path


#: Kinds whose models are folders; those of the others are named KIND:NAME.
_OF_FOLDERS = frozenset({"bundle", "run"})


def _unknown(name: str, models: Iterable[str]) -> str:
    """What to name in the place of a model that there is not, the nearest first."""
    kinds = [kind for kind in BACKENDS if kind not in _OF_FOLDERS]

    def by_likeness(names: Iterable[str]) -> list[str]:
        ratio = {one: difflib.SequenceMatcher(None, name, one).ratio() for one in names}
        return sorted(ratio, key=lambda one: (-ratio[one], one))

    forms = {kind: "hf:ORG/NAME" if kind == "hf" else f"{kind}:NAME" for kind in kinds}
    bundled, schemes = by_likeness(models), by_likeness(kinds)
    nearest = difflib.get_close_matches(name, [*bundled, *schemes], n=1)
    if _HUB_ID.fullmatch(name):
        hint = f" If it is a model of Hugging Face, write 'hf:{name}'."
    elif nearest:
        hint = f" Did you mean {forms.get(nearest[0], nearest[0])!r}?"
    else:
        hint = ""
    return (
        f"there is no folder {name!r} and no bundled model of that name.{hint} Give a folder; a "
        f"bundled model: {', '.join(bundled) or '(none here)'}; or KIND:NAME for another "
        f"backend: {', '.join(forms[kind] for kind in schemes)}."
    )


def check_language(backend: Backend, language: str | None) -> None:
    """Refuse a model that captions in another language than is asked for, or in several.

    Raises:
        UsageError: it does.
    """
    own = backend.identity.language
    refuse_several(own, backend.identity.source)
    if language is not None and own != language:
        raise UsageError(
            f"{backend.identity.source} captions in {_with_name(own)}, and the language that is "
            f"asked for is {_with_name(language)}: leave out the language, or name another model"
        )


def one_for_both(language: str | None) -> bool:
    """Whether one default model of a language captions photos and clips."""
    return find_bundle(language=language) == find_bundle(clips=True, language=language)


def bundled_languages() -> dict[str, list[str]]:
    """The languages of the bundled models by code, and the names of those of each.

    Raises:
        BundleError: a model in the package is damaged.
    """
    found: dict[str, list[str]] = {}
    for name, folder in bundled_models().items():
        try:
            code = load_tokenizer(folder / TOKENIZER_FILE).language.code
        except DataError as error:
            raise BundleError(f"the model {name} in the package is damaged: {error}") from None
        found.setdefault(code, []).append(name)
    return found


def _of_language(language: str | None, models: Mapping[str, Path], *, clips: bool) -> Path:
    languages = bundled_languages()
    names = languages.get(language or DEFAULT)
    if names:
        # called like the default one; a model for photos captions clips, too
        like = DEFAULT_CLIP_BUNDLE if clips else DEFAULT_BUNDLE
        return models[min(names, key=lambda name: not name.startswith(like))]
    known = {code: LANGUAGES.get(code).name for code in LANGUAGES}
    meant = [code for code, name in known.items() if name.lower() == str(language).lower()]
    hint = f" Did you mean {meant[0]!r}?" if meant else ""
    there = "; ".join(f"{_with_name(code)}: {', '.join(some)}" for code, some in languages.items())
    raise UsageError(
        f"no model in this installation captions in {_with_name(str(language))}.{hint} There are "
        f"{there or 'none'}. Name a model of that language (--model PATH), or train one: "
        "docs/another-language.md"
    )


def _with_name(code: str) -> str:
    """``fa (Persian)``; a code alone where nothing is known of it."""
    return f"{code} ({LANGUAGES.get(code).name})" if code in LANGUAGES else repr(code)


def check_fusion(backends: Sequence[Backend]) -> None:
    """Refuse models that cannot be fused.

    Raises:
        UsageError: their vocabularies differ.
    """
    first, *others = backends
    words = tuple(first.tokenizer.tokens)
    for other in others:
        names = f"{first.identity.source} and {other.identity.source}"
        other_words = tuple(other.tokenizer.tokens)
        if other_words != words:
            raise UsageError(
                f"models that are fused need one vocabulary, the same words in the same order: "
                f"{names} have {len(words):,} and {len(other_words):,}, and "
                f"{len(set(words) ^ set(other_words)):,} are in one of them only. Models that "
                "Negah trains have one vocabulary if they learn from the same data, divided "
                "alike, with the same options of the section text"
            )
        if other.tokenizer.specials != first.tokenizer.specials:
            raise UsageError(
                f"models that are fused need one vocabulary: {names} have the same words, but "
                "other tokens for the start, the end or what is never said"
            )
