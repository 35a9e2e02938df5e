"""Captions over HTTP: an interface of our own, and those that other programs already speak.

Thin: a request is bounded and checked (``gate``), parsed (``bodies``, ``uploads``), handed to the
queue of its model (``models``; the work is done by :class:`negah.runtime.CaptionQueue`), and
answered in the form of its interface (``native``, ``ollama``, ``openai``, ``photoprism``).
Nothing of an upload is written to a file or a log.
"""

from __future__ import annotations
