"""Measuring the faithfulness of a model's evidence on captioned photos.

What was measured of a photo is kept in the cache of Negah, under what it depends on: the model's
weights, how it captions, the methods, and the photo. An interrupted run continues from there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from negah import __version__
from negah.data import Example
from negah.data.box_files import Box
from negah.errors import DataError, MediaError
from negah.evidence.methods import Evidence
from negah.evidence.truth import Truth
from negah.faithfulness.measure import measure, words_of
from negah.faithfulness.report import Report, summarise
from negah.files import cache_folder, write_text
from negah.json_layout import to_json
from negah.runtime import Captioner
from negah.runtime.explaining import caption_subject
from negah.text import words
from negah.text.languages import english_only

#: Photos between two times that the rows are kept.
_KEPT_EVERY = 10

#: Version of the rows, so that older cached ones are not used.
_VERSION = 3


def check(
    captioner: Captioner,
    examples: Sequence[Example],
    methods: Mapping[str, Evidence],
    *,
    dataset: str,
    boxes: Mapping[str, Sequence[Box]] | None = None,
    progress: Callable[[], None] | None = None,
    **decoding: Any,
) -> Report:
    """Measure the faithfulness of a model's evidence on photos.

    Args:
        captioner: the model.
        examples: captioned photos.
        methods: by name; the first is judged, the others stand beside.
        dataset: what the data set is called.
        boxes: of things, by name of the example.
        progress: called after each photo; what it raises ends the work, and what was measured is
            kept for the next time.
        decoding: fields of :class:`~negah.decoding.DecodingOptions` in place of the model's own.

    Raises:
        DataError: none of the photos can be read.
        UsageError: an option is wrong, a method does not suit the model, or it captions in another
            language than English.
    """
    backend = captioner.one_backend(clips=False)
    english_only(
        backend.identity.language, "the check of evidence", "the truth of words is judged with "
        "English names of things", "explain without --check"
    )  # fmt: skip
    signatures = {name: method.signature for name, method in methods.items()}
    options = captioner.decoding_options(decoding).model_dump(mode="json")
    judge = backend.sight.judge
    calibrated = None if judge is None else judge.sha256
    key = [_VERSION, __version__, backend.identity.sha256, calibrated, options, signatures]
    kept = _Kept(to_json(key))
    photos: list[list[dict[str, Any]]] = []
    failures: dict[str, str] = {}
    try:
        for example in examples:
            own = (boxes or {}).get(example.name)
            name = _name_of(example, own)
            rows = kept.rows.get(name)
            if rows is None:
                try:
                    reading = caption_subject(captioner, example.path, **decoding)
                    said = [word.text for word in words_of(reading.caption)]
                    truth = Truth.of(map(words, example.captions), _names(own))
                    rows = measure(reading, methods, boxes=own, supported=truth.of_words(said))
                    kept.add(name, rows)
                except MediaError as error:
                    failures[example.name] = error.reason
            if rows is not None:
                photos.append(rows)
            if progress is not None:
                progress()
    finally:
        kept.store()
    if not photos:
        name, reason = next(iter(failures.items()))
        raise DataError(
            f"{dataset}: none of the {len(examples)} photos could be read (the first: {name}: "
            f"{reason})"
        )
    return summarise(
        photos,
        model=backend.identity.name,
        weights_sha256=backend.identity.sha256,
        dataset=dataset,
        split="+".join(sorted({example.split for example in examples})),
        signatures=signatures,
        failures=failures,
    )


def _names(boxes: Sequence[Box] | None) -> list[str] | None:
    return None if boxes is None else [box.name for box in boxes]


def _name_of(example: Example, boxes: Sequence[Box] | None) -> str:
    """The key of a photo's rows: its file and its captions."""
    try:
        state = example.path.stat()
        about = [str(example.path.resolve()), state.st_size, state.st_mtime_ns]
    except OSError:
        about = [str(example.path)]
    content = to_json([*about, list(example.captions), boxes])
    return hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()[:24]


class _Kept:
    """The rows that were measured before, by photo.

    Args:
        key: what they depend on beside the photo.
    """

    def __init__(self, key: str) -> None:
        digest = hashlib.sha256(key.encode()).hexdigest()[:24]
        self._path: Path = cache_folder() / "explain" / f"{digest}.json"
        self._fresh = 0
        self.rows: dict[str, list[dict[str, Any]]] = {}
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return  # none, or damaged: it is measured again
        if isinstance(found, dict):
            self.rows = found

    def add(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Keep the rows of a photo, as JSON gives them back."""
        self.rows[name] = rows
        self._fresh += 1
        if self._fresh >= _KEPT_EVERY:
            self.store()

    def store(self) -> None:
        """Write what is new."""
        if self._fresh:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_text(self._path, to_json(self.rows))
            self._fresh = 0
