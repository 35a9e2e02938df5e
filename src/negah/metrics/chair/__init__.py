"""CHAIR: how often captions mention objects that are not in the image.

Paper: A. Rohrbach, L. A. Hendricks, K. Burns, T. Darrell, K. Saenko, "Object hallucination in image
captioning", EMNLP 2018. The words for COCO's 80 categories are ours (``words.yaml``).
"""

from __future__ import annotations

from negah.metrics.chair.metric import Chair
from negah.metrics.chair.words import Mention, categories, categories_of, mentions

__all__ = ["Chair", "Mention", "categories", "categories_of", "mentions"]
