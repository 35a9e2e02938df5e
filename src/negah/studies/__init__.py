"""Studies: questions about the models, answered by experiments that one command repeats.

A study is a package with the questions, the data, the measures, and a report that is made from
its numbers. :data:`STUDIES` names them for ``negah study``.
"""

from __future__ import annotations

from collections.abc import Mapping

#: What each study asks, by name.
STUDIES: Mapping[str, str] = {
    "synthetic": "which attention of CAM-RNN finds what, on made clips whose truth is known",
}

__all__ = ["STUDIES"]
