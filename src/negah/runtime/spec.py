"""What opens a captioner and how it is asked, as data.

A command line makes it once; whatever captions, here or in another process, is opened by it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from negah.runtime.captioner import Captioner
from negah.runtime.options import RuntimeOptions, take_run_options


@dataclass(frozen=True, slots=True)
class CaptionerSpec:
    """A captioner that can be opened; it can be sent to other processes.

    Attributes:
        model: as a user names it, see :class:`~negah.runtime.Captioner`; None for the bundled ones.
        fuse: models to fuse with it, likewise.
        run: how it is run.
        frames: of a clip or scene; None for as many as the model is made for.
        decoding: options of decoding that replace the model's.
    """

    model: str | None = None
    fuse: tuple[str, ...] = ()
    run: RuntimeOptions = field(default_factory=RuntimeOptions)
    frames: int | None = None
    decoding: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        model: str | None = None,
        *,
        fuse: tuple[str, ...] = (),
        frames: int | None = None,
        **options: Any,
    ) -> CaptionerSpec:
        """Create it from options given together.

        Args:
            model: as above; so are ``fuse`` and ``frames``.
            options: fields of :class:`~negah.runtime.RuntimeOptions`; all others are options of
                decoding, which are checked when there is a model to check them by.

        Raises:
            UsageError: one of the former is wrong.
        """
        run = RuntimeOptions.parse(take_run_options(options), where="captioner")
        return cls(model, fuse, run, frames, options)

    def with_run(self, **changes: Any) -> CaptionerSpec:
        """The same, run otherwise.

        Args:
            changes: fields of :class:`~negah.runtime.RuntimeOptions`.

        Raises:
            UsageError: one is wrong.
        """
        run = RuntimeOptions.parse({**dict(self.run), **changes}, where="captioner")
        return replace(self, run=run)

    def seen_from_anywhere(self) -> CaptionerSpec:
        """The same, with folders as processes elsewhere find them."""
        calibration = self.run.calibration
        spec = replace(
            self,
            model=None if self.model is None else _absolute(self.model),
            fuse=tuple(map(_absolute, self.fuse)),
        )
        return spec if calibration is None else spec.with_run(calibration=calibration.absolute())

    def open(self) -> Captioner:
        """The models, loaded.

        Raises:
            UsageError: there is no such model, or an option is wrong.
            NegahError: a model is damaged, or what runs it is not installed.
        """
        return Captioner(self.model, fuse=self.fuse, **dict(self.run))

    def check(self, captioner: Captioner, *, clips: bool) -> None:
        """Refuse frames and options of decoding that do not suit what captions photos, or clips.

        Raises:
            UsageError: one does not.
        """
        captioner.check(clips=clips, frames=self.frames if clips else None, **self.decoding)


def _absolute(model: str) -> str:
    """A model's folder from the root; other names as they are."""
    return os.path.abspath(model) if Path(model).exists() else model  # noqa: PTH100 - as named
