"""Captions over HTTP: a native interface, and those of Ollama, OpenAI and PhotoPrism.

A thin layer: a request is limited and checked (``gate``), parsed (``bodies``, ``uploads``), passed
to the queue of its model (``models``, which uses :class:`negah.runtime.CaptionQueue`), and answered
in the format of its interface (``native``, ``ollama``, ``openai``, ``photoprism``). Uploads are
never written to a file or a log.
"""

from __future__ import annotations
