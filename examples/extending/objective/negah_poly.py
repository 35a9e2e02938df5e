"""An objective: Poly-1 cross-entropy (Z. Leng et al., PolyLoss, ICLR 2022)."""

from typing import Literal

from negah.models import CaptionModel
from negah.training.objectives import OBJECTIVES, Lesson, Loss, ObjectiveOptions, Setting
from negah.training.objectives.cross_entropy import forced_logprobs, smoothed


class PolyOptions(ObjectiveOptions):
    kind: Literal["poly"] = "poly"
    epsilon: float = 1.0


@OBJECTIVES.register("poly", PolyOptions)
class Poly:
    def __init__(self, options: PolyOptions, setting: Setting) -> None:
        self.epsilon, self.setting = options.epsilon, setting

    def __call__(self, captioner: CaptionModel, lesson: Lesson) -> Loss:
        sampling, smoothing = self.setting.scheduled_sampling, self.setting.label_smoothing
        logprobs_NV, targets_N = forced_logprobs(captioner, lesson, sampling)
        loss = smoothed(logprobs_NV, targets_N, smoothing)
        missed = (1 - logprobs_NV.gather(1, targets_N[:, None]).exp()).mean()
        loss.value = loss.value + self.epsilon * missed  # equation (5): CE + e (1 - p_t)
        loss.log = {"missed": missed.detach()}
        return loss
