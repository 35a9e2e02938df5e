"""CAM-RNN's attentions against known truth, on made clips; the page is docs/studies/synthetic.md.

Importing it is quick; PyTorch comes with its first cell.
"""

from __future__ import annotations

from negah.studies.synthetic.study import STUDY

__all__ = ["STUDY"]
