"""What a model answers to every image of a source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count

import torch
import torch.nn.functional as F

from asim_fx.converted import ConvertedModel
from asim_fx.data import DataSource
from asim_fx.errors import DataError
from asim_fx.nn import Fidelity
from asim_fx.sharding import ALONE, Shard
from asim_fx.training.epoch_record import Fidelity as Evaluated
from asim_fx.training.recipe import Mode
from asim_fx.training.step import checked_scores

EVALUATED_AS: Mapping[Mode, Evaluated] = {
    "float": "float",
    "qat": "integer",
    "nat": "hardware",
    "hardware": "hardware",
}
"""What a model computes when it is evaluated, by how it is trained."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model made of images, in the order of the data.

    Attributes:
        labels: the right classes.
        predicted: the classes with the highest scores.
        confidence: the shares that softmax gives these, 0..1.
        loss: mean cross-entropy.
        classes: outputs of the model.
    """

    labels: tuple[int, ...]
    predicted: tuple[int, ...]
    confidence: tuple[float, ...]
    loss: float
    classes: int

    @property
    def top1(self) -> float:
        """Share of right answers, in percent."""
        right = sum(label == answer for label, answer in zip(self.labels, self.predicted, strict=True))
        return 100 * right / len(self.labels)


@torch.no_grad()
def evaluate(
    net: ConvertedModel,
    data: DataSource,
    fidelity: Fidelity,
    *,
    device: torch.device,
    seed: int = 0,
    shard: Shard = ALONE,
) -> Answers:
    """Run a model in evaluation mode on a source; image ``n`` is sample ``n`` of the noise, as in asim-simulate.

    The model's own mode and fidelity are left as they were.

    Raises:
        DataError: there is no image.
        InputError: the model does not return class scores.
        NumericsError: a site meets NaN or infinity.
    """
    training = net.training
    before = {site: site.fidelity for site in net.sites().values()}
    net.eval()
    net.set_fidelity(fidelity)
    rows: list[tuple[int, int, int, float, float]] = []
    classes = 0
    try:
        batches = data.batches(shard.rank, shard.count)
        for number in count(shard.rank, shard.count):
            batch = next(batches, None)
            if batch is None:
                break
            images, labels = (part.to(device) for part in batch)
            net.reseed(seed, first_sample=number * data.batch_size)
            scores = checked_scores(net(images), labels).to(torch.float32)
            classes = scores.shape[1]
            confidence, predicted = scores.softmax(1).max(1)
            losses = F.cross_entropy(scores, labels, reduction="none")
            first = number * data.batch_size
            columns = (labels.tolist(), predicted.tolist(), confidence.tolist(), losses.tolist())
            rows += list(zip(range(first, first + len(labels)), *columns, strict=True))
    finally:
        net.train(training)
        for site, earlier in before.items():
            site.fidelity = earlier
    gathered = sorted(row for found in shard.gather(rows) for row in found)
    if not gathered:
        message = f"{data.description}: there are no images"
        raise DataError(message)
    _, labels_, predicted_, confidence_, losses_ = zip(*gathered, strict=True)
    mean = sum(losses_) / len(losses_)
    return Answers(labels_, predicted_, confidence_, mean, max(shard.gather(classes)))
