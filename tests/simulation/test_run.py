from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import asim_fx
from asim_fx.converted import ConvertedModel
from asim_fx.data import DataSource
from asim_fx.errors import DataError, InputError, UsageError
from asim_fx.simulation import SimulationResult, model_identity, simulate
from asim_fx.simulation.journal import BatchResult


@dataclass(frozen=True)
class Pictures:
    """Random images in memory."""

    images: Tensor
    labels: Tensor
    identity: str = "pictures"
    classes: int | None = 5

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.images[index], int(self.labels[index])

    def where(self, index: int) -> str:
        return f"picture {index}"


def source(pictures: Pictures, batch_size: int = 4) -> DataSource:
    return DataSource("pictures", pictures.identity, len(pictures), pictures.classes, batch_size, pictures, 0)


@pytest.fixture(scope="module")
def converted(small_net: nn.Module, images: Tensor) -> ConvertedModel:
    spec = asim_fx.load_spec("generic-255x8b", ["macros.m.noise.random_percent_fs=1"])
    return asim_fx.convert(small_net, spec, images)


@pytest.fixture(scope="module")
def pictures(small_net: nn.Module) -> Pictures:
    """Ten images; the float model is right about all but the last two."""
    images = torch.randn(10, 2, 8, 8, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        labels = small_net(images).argmax(1)
    labels[8:] = (labels[8:] + 1) % 5
    return Pictures(images, labels)


def timeless(result: SimulationResult) -> list:
    return [replace(variant, images_per_second=0.0) for variant in result.variants]


def lines(path: Path) -> list[BatchResult]:
    return [BatchResult(**json.loads(line)) for line in path.read_text().splitlines()[1:]]


def test_dies_spread_and_resume(small_net: nn.Module, images: Tensor, pictures: Pictures, tmp_path: Path) -> None:
    spec = asim_fx.load_spec(
        "generic-255x8b", ["macros.m.adc.offset_sigma_lsb=40", "macros.m.noise.random_percent_fs=1"]
    )
    chip = asim_fx.convert(small_net, spec, images)
    file = tmp_path / "runs.jsonl"
    whole = simulate(chip, source(pictures), seeds=(0, 1), dies=3, results_file=file).variants[-1]
    spread = whole.over_dies
    assert spread is not None
    assert spread.dies == len(spread.of_die) == 3
    assert spread.mean == pytest.approx(whole.top1.mean)
    assert spread.worst == min(spread.of_die) <= spread.percentile_5 <= spread.median <= spread.percentile_95
    assert len(set(spread.of_die)) > 1
    assert whole.top1.interval == "3 dies, Student t"
    hardware = [line for line in lines(file) if line.variant == "hardware"]
    assert {(line.die, line.seed) for line in hardware} == {(die, seed) for die in range(3) for seed in range(2)}
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:5]))
    again = simulate(chip, source(pictures), seeds=(0, 1), dies=3, results_file=file, resume=True).variants[-1]
    assert again.over_dies == spread
    alone = simulate(chip, source(pictures), seeds=(0,), dies=1).variants[-1]
    assert alone.top1.interval == "10 images, Wilson"
    assert alone.over_dies is not None
    assert simulate(chip, source(pictures)).variants[-1].over_dies is None
    with pytest.raises(UsageError, match="at least one die"):
        simulate(chip, source(pictures), dies=0)


def test_seeds_that_agree_leave_the_interval_to_the_images(small_net, images, pictures: Pictures) -> None:
    exact = asim_fx.convert(small_net, "ideal", images)
    top1 = simulate(exact, source(pictures), seeds=(0, 1, 2)).variants[-1].top1
    assert top1.interval == "10 images, Wilson"
    assert top1.low < top1.mean < top1.high


def test_the_variants_and_what_they_count(converted: ConvertedModel, pictures: Pictures) -> None:
    result = simulate(converted, source(pictures), seeds=(0, 1, 2), baseline=True)
    exact, integer, hardware = result.variants
    assert [variant.variant for variant in result.variants] == ["float", "integer", "hardware"]
    assert exact.top1.mean == pytest.approx(80)
    assert exact.top5 is None  # five classes
    assert exact.top1.interval == "10 images, Wilson"
    assert integer.seeds == ()
    assert hardware.seeds == (0, 1, 2)
    assert hardware.top1.interval == "3 seeds, Student t"
    assert all(variant.images == 10 for variant in result.variants)
    assert all(variant.images_per_second > 0 for variant in result.variants)
    assert [v.variant for v in simulate(converted, source(pictures)).variants] == ["integer", "hardware"]
    json.dumps(result.to_json())


def test_top5_where_there_are_more_than_five_classes(images: Tensor) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(8, 8, bias=False)).eval()
    with torch.no_grad():
        model[1].weight.copy_(torch.eye(8))
    wide = asim_fx.convert(model, "ideal", torch.zeros(2, 8, 1, 1))
    scores = torch.tensor([8.0, 7, 6, 5, 4, 3, 2, 1]).view(8, 1, 1).expand(8, 8, 1, 1).contiguous()
    ranks = Pictures(scores, torch.arange(8), classes=8)
    result = simulate(wide, source(ranks), baseline=True)
    for variant in result.variants:
        assert variant.top1.mean == pytest.approx(100 / 8)
        assert variant.top5 is not None
        assert variant.top5.mean == pytest.approx(500 / 8)


def test_each_image_keeps_its_noise_whatever_ran_before(converted: ConvertedModel, pictures: Pictures) -> None:
    whole = timeless(simulate(converted, source(pictures), seeds=(1, 2), baseline=True))
    converted(pictures.images)
    assert timeless(simulate(converted, source(pictures), seeds=(1, 2), baseline=True)) == whole


def test_samples_are_numbered_by_their_place_in_the_data(
    converted: ConvertedModel, pictures: Pictures, tmp_path: Path
) -> None:
    file = tmp_path / "results.jsonl"
    simulate(converted, source(pictures), seeds=(7,), results_file=file)
    second = next(line for line in lines(file) if (line.seed, line.batch) == (7, 1))
    converted.set_fidelity("hardware")
    converted.reseed(7, first_sample=4)
    with torch.no_grad():
        right = (converted(pictures.images[4:8]).argmax(1) == pictures.labels[4:8]).sum()
    assert (second.images, second.top1) == (4, int(right))


class Interrupted(Pictures):
    """Images of which the reader presses Ctrl-C at the seventh."""

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if index == 6:
            raise KeyboardInterrupt
        return super().__getitem__(index)


def test_an_interrupted_run_goes_on_and_ends_as_if_nothing_had_happened(
    converted: ConvertedModel, pictures: Pictures, tmp_path: Path
) -> None:
    file, seeds = tmp_path / "results.jsonl", (0, 1)
    whole = simulate(converted, source(pictures), seeds=seeds, baseline=True)
    stopping = Interrupted(pictures.images, pictures.labels)
    with pytest.raises(KeyboardInterrupt):
        simulate(converted, source(stopping), seeds=seeds, baseline=True, results_file=file)
    kept = lines(file)
    assert [(line.variant, line.seed, line.batch) for line in kept] == [
        ("float", None, 0),
        ("integer", None, 0),
        ("hardware", 0, 0),
        ("hardware", 1, 0),
    ]
    resumed = simulate(converted, source(pictures), seeds=seeds, baseline=True, results_file=file, resume=True)
    assert timeless(resumed) == timeless(whole)
    assert lines(file)[:4] == kept
    assert len(lines(file)) == 4 * 3


def test_resume_with_more_seeds_runs_only_those(converted: ConvertedModel, pictures: Pictures, tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    simulate(converted, source(pictures), seeds=(0,), results_file=file)
    before = lines(file)
    more = simulate(converted, source(pictures), seeds=(0, 1), results_file=file, resume=True)
    assert lines(file)[: len(before)] == before
    assert {line.seed for line in lines(file)[len(before) :]} == {1}
    assert timeless(more) == timeless(simulate(converted, source(pictures), seeds=(0, 1)))


def test_resume_of_a_finished_run_reads_no_image(converted: ConvertedModel, pictures: Pictures, tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    first = simulate(converted, source(pictures), results_file=file)
    unread = Pictures(pictures.images[:0].expand(0, 2, 8, 8), pictures.labels)
    again = simulate(converted, source(unread), results_file=file, resume=True)
    assert again.variants == first.variants


def test_the_file_of_another_run_is_refused(converted: ConvertedModel, pictures: Pictures, tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    simulate(converted, source(pictures), results_file=file)
    with pytest.raises(UsageError, match="another --batch-size"):
        simulate(converted, source(pictures, batch_size=5), results_file=file, resume=True)
    other = Pictures(pictures.images, pictures.labels, identity="others")
    with pytest.raises(UsageError, match="other images"):
        simulate(converted, source(other), results_file=file, resume=True)
    with pytest.raises(UsageError, match="already holds results"):
        simulate(converted, source(pictures), results_file=file)


def test_identity_follows_weights_and_hardware_but_not_the_seed(
    converted: ConvertedModel, small_net: nn.Module, images: Tensor
) -> None:
    first = model_identity(converted)
    converted.reseed(99)
    assert model_identity(converted) == first
    same = asim_fx.convert(
        small_net, asim_fx.load_spec("generic-255x8b", ["macros.m.noise.random_percent_fs=1"]), images
    )
    assert model_identity(same) == first
    other_chip = asim_fx.convert(small_net, "generic-255x8b", images)
    with torch.no_grad():
        next(same.parameters()).add_(1)
    assert len({first, model_identity(same), model_identity(other_chip)}) == 3


def test_the_model_is_left_at_hardware(converted: ConvertedModel, pictures: Pictures) -> None:
    simulate(converted, source(pictures), baseline=True)
    assert {site.fidelity for site in converted.sites().values()} == {"hardware"}


def test_progress_counts_every_batch_of_every_variant(converted: ConvertedModel, pictures: Pictures) -> None:
    told: list[tuple[int, int | None]] = []
    simulate(converted, source(pictures), seeds=(0, 1), progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 9) for done in range(1, 10)]


@pytest.mark.parametrize(
    ("labels", "classes", "words"),
    [([0] * 9 + [5], None, "6 classes"), ([0] * 10, 7, "7 classes"), ([0] * 9 + [-1], 5, "no label")],
)
def test_labels_that_the_model_does_not_know(
    converted: ConvertedModel, pictures: Pictures, labels: list[int], classes: int | None, words: str
) -> None:
    wrong = Pictures(pictures.images, torch.tensor(labels), classes=classes)
    with pytest.raises(DataError, match=words):
        simulate(converted, source(wrong))


def test_a_model_without_class_scores(images: Tensor) -> None:
    features = asim_fx.convert(nn.Conv2d(2, 3, 3), asim_fx.load_spec("ideal"), images)
    pictures = Pictures(images, torch.zeros(len(images), dtype=torch.int64))
    with pytest.raises(InputError, match="class scores"):
        simulate(features, source(pictures))


def test_no_images(converted: ConvertedModel, pictures: Pictures) -> None:
    with pytest.raises(DataError, match="no images"):
        simulate(converted, source(Pictures(pictures.images[:0], pictures.labels[:0])))
