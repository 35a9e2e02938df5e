"""CAM-RNN's attentions against known truth, on made clips; the report is docs/studies/synthetic.md.

Importing it is quick; PyTorch comes with :mod:`negah.studies.synthetic.run`.
"""

from __future__ import annotations

from negah.studies.synthetic.options import VARIANTS, StudyOptions, quick_options
from negah.studies.synthetic.results import tables, verdicts

__all__ = ["VARIANTS", "StudyOptions", "quick_options", "tables", "verdicts"]
