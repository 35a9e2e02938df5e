"""Export: a trained model to a bundle, the proof that it is the same, and back."""

from negah.export.onnx import Description, export_bundle
from negah.export.prove import ExportTolerance, Proof, prove
from negah.export.restore import load_captioner

__all__ = ["Description", "ExportTolerance", "Proof", "export_bundle", "load_captioner", "prove"]
