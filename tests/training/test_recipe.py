"""What a recipe accepts, and what a checkpoint must have in common with it."""

from __future__ import annotations

import pytest

from asim_fx.errors import UsageError
from asim_fx.training.recipe import TrainingRecipe


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"mode": "other"}, "mode must be one of float, qat, nat, hardware"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"lr": float("nan")}, "lr must be above 0"),
        ({"hflip": 1.5}, "hflip must lie in 0..1"),
        ({"ema": 1.0}, "ema must be at least 0 and below 1"),
        ({"trim_factor": 2.0}, "trim noise is for mode nat"),
        ({"mode": "nat", "trim_noise": -1.0}, "trim_noise must be at least 0"),
        ({"batch_size": 9, "parts": 2}, "cannot be cut in 2 equal parts"),
        ({"batch_size": 6, "parts": 2, "mixup": 0.2}, "their number must be even"),
        ({"sched": "plateau"}, "plateau waits for the accuracy of an epoch"),
        ({"sched": "step"}, "sched step needs decay_epochs"),
        ({"sched": "multistep"}, "sched multistep needs decay_epochs"),
        ({"sched": "step", "decay_epochs": (3, 5)}, "takes one number of decay_epochs, not 2"),
        ({"sched": "multistep", "decay_epochs": (5, 3)}, "decay_epochs must rise"),
        ({"decay_epochs": (3,)}, "decay_epochs is for step, multistep, wsd and rsqrt, and sched is cosine"),
        ({"decay_rate": 0.5}, "decay_rate is for step, multistep and poly, and sched is cosine"),
        ({"sched": "none", "min_lr": 1e-5}, "min_lr has no effect with sched none"),
        ({"warmup_lr": 1e-5}, "warmup_lr has no effect without warmup_epochs"),
        ({"augment": False, "reprob": 0.5, "hflip": 0.0}, "hflip, reprob without effect: images are not augmented"),
        ({"augment": False, "color_jitter": 0.0}, "color_jitter without effect"),
        ({"aa": "rand-m9", "color_jitter": 0.1}, "color_jitter has no effect with aa rand-m9"),
        ({"calib_samples": 0}, "calib_samples must be at least 1"),
        ({"keep": "first"}, "keep must be one of last, best"),
        ({"epochs": 3, "warmup_epochs": 3}, "3 epochs of warm-up leave none of 3 epochs"),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        TrainingRecipe(**settings)


def test_epochs_count_where_the_schedule_depends_on_them() -> None:
    short, long = (TrainingRecipe(epochs=n).identity() for n in (2, 3))
    assert short != long
    short, long = (TrainingRecipe(epochs=n, sched="none").identity() for n in (2, 3))
    assert short == long
    assert short != TrainingRecipe(epochs=2, sched="none", lr=0.5).identity()
