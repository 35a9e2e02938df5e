"""Studies: questions about the models, answered by experiments that one command repeats.

A study says what it compares and how a cell is trained (:mod:`negah.studies.study`); running it,
keeping what is finished, tables, figures, verdicts, pages and the report are the same for all.
:data:`STUDIES` names them for ``negah study``.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from negah.errors import UnknownNameError

if TYPE_CHECKING:
    from negah.studies.study import Study

#: What each study asks, by name, in the order of the report.
STUDIES: Mapping[str, str] = {
    "three-cases": "what GloVe vectors and a fine-tuned CNN contribute to CNN + LSTM",
    "gradients": "where gradients vanish or explode, by layer and time step",
    "gru-gates": "what the reset gate contributes, and a GRU that depends on one past input alone",
    "output-layer": "what a softmax costs compared with sigmoids, counted and measured",
    "input-layer": "when to use an embedding and when a dense input layer",
    "tokens": "words, characters or subwords as tokens",
    "word-order": "what pretraining the generator on text contributes",
    "ablation": "which attention of CAM-RNN helps on photographs",
    "synthetic": "which attention of CAM-RNN finds what, on made clips whose truth is known",
    "persian": "what a Persian captioner gains from English weights, sentences, other tokens",
    "evidence": "whether attention and the gate are evidence of words",
}


def find_study(name: str) -> Study:
    """A study by its name; quick, since its trainings bring PyTorch only when they run.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if name not in STUDIES:
        raise UnknownNameError("study", name, STUDIES)
    study: Study = import_module(f"negah.studies.{name.replace('-', '_')}").STUDY
    return study


__all__ = ["STUDIES", "find_study"]
