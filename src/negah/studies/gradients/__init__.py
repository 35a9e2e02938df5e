"""Where gradients vanish or explode in a captioner: by layer, by time step, through training."""

from negah.studies.gradients.study import GradientsStudy

STUDY = GradientsStudy()

__all__ = ["STUDY", "GradientsStudy"]
