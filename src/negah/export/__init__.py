"""Export: a trained model to a bundle, the proof that it is the same, and back."""

from negah.export.onnx import export_bundle
from negah.export.prove import Proof, prove
from negah.export.restore import load_captioner

__all__ = ["Proof", "export_bundle", "load_captioner", "prove"]
