"""Words of a caption for each word of its references."""

from negah.metrics import MeanMetric


class LengthRatio(MeanMetric):
    names = ("LengthRatio",)
    unit = "words a word"

    def value(self, caption, references):
        """The number of one image: its caption and its references, each a tuple of words."""
        mean = sum(len(reference) for reference in references) / len(references)
        return len(caption) / max(mean, 1)

    def signature(self, name):
        """What the number depends on; raise the version when the code changes it."""
        return f"{name}|version:1"
