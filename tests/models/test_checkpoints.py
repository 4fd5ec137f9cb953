from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from asim_fx.errors import CheckpointError
from asim_fx.models.checkpoints import load_checkpoint, read_state_dict


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def fresh() -> nn.Module:
    model = net()
    for parameter in model.parameters():
        nn.init.constant_(parameter, 9)
    return model


def test_safetensors(tmp_path: Path) -> None:
    save_file(net().state_dict(), tmp_path / "w.safetensors")
    model = fresh()
    load_checkpoint(model, tmp_path / "w.safetensors")
    assert same(model, net())


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3, "arch": "net"},
        lambda state: {"model": state, "args": argparse.Namespace(lr=0.1)},
        lambda state: {"state_dict_ema": state},
        lambda state: {"model": {"state_dict": state}},
        lambda state: {f"module.{key}": value for key, value in state.items()},
        lambda state: {"state_dict": {f"_orig_mod.module.{key}": value for key, value in state.items()}},
        lambda state: {"state_dict": {f"module._orig_mod.{key}": value for key, value in state.items()}},
    ],
)
def test_what_training_scripts_put_around_the_weights_is_taken_off(tmp_path: Path, wrap) -> None:
    torch.save(wrap(dict(net().state_dict())), tmp_path / "w.pth")
    model = fresh()
    load_checkpoint(model, tmp_path / "w.pth")
    assert same(model, net())


def test_the_weights_of_a_checkpoint_of_training_are_taken(tmp_path: Path) -> None:
    inner = {f"model.{key}": value for key, value in net().state_dict().items()}
    others = {"model.layer.cim.input_scale": torch.ones(()), "optimizer.0.exp_avg": torch.zeros(3)}
    save_file(inner | others, tmp_path / "w.safetensors", {"asim_fx": "{}"})
    model = fresh()
    load_checkpoint(model, tmp_path / "w.safetensors")
    assert same(model, net())
    save_file({"model.nothing": torch.ones(1)}, tmp_path / "other.safetensors", {"asim_fx": "{}"})
    with pytest.raises(CheckpointError, match="missing"):
        load_checkpoint(fresh(), tmp_path / "other.safetensors")


def test_plain_weights_win_over_their_average(tmp_path: Path) -> None:
    average = {key: value * 0 for key, value in net().state_dict().items()}
    torch.save({"state_dict_ema": average, "state_dict": dict(net().state_dict())}, tmp_path / "w.pth")
    assert torch.equal(read_state_dict(tmp_path / "w.pth")["0.weight"], net().state_dict()["0.weight"])


def test_a_batch_norm_without_its_counter_is_fine(tmp_path: Path) -> None:
    state = {key: value for key, value in net().state_dict().items() if "num_batches" not in key}
    save_file(state, tmp_path / "w.safetensors")
    model = fresh()
    load_checkpoint(model, tmp_path / "w.safetensors")
    assert same(model, net())


def test_what_does_not_fit_is_listed_and_the_model_stays_as_it_was(tmp_path: Path) -> None:
    state = dict(net().state_dict())
    state["0.weight"] = torch.zeros(2, 1, 5, 5)
    state["extra"] = torch.zeros(1)
    del state["0.bias"]
    save_file(state, tmp_path / "w.safetensors")
    model = fresh()
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(model, tmp_path / "w.safetensors")
    for word in ("1 missing: 0.bias", "not in the model: extra", "0.weight (2, 1, 5, 5)", "(2, 1, 3, 3)"):
        assert word in str(caught.value)
    assert same(model, fresh())


def test_many_keys_are_not_all_listed(tmp_path: Path) -> None:
    state = {**net().state_dict(), **{f"layer{i}": torch.zeros(1) for i in range(20)}}
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(CheckpointError, match=r"20 not in the model: .* and 16 more"):
        load_checkpoint(net(), tmp_path / "w.safetensors")


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04 half a zip file"])
def test_a_damaged_file(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=name):
        read_state_dict(tmp_path / name)


def test_a_file_that_was_cut_off(tmp_path: Path) -> None:
    torch.save(dict(net().state_dict()), tmp_path / "w.pth")
    (tmp_path / "w.pth").write_bytes((tmp_path / "w.pth").read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="damaged"):
        read_state_dict(tmp_path / "w.pth")


@pytest.mark.parametrize("content", [{}, [1, 2], {"epoch": 3}, {"state_dict": {"a": 1}}, torch.zeros(3)])
def test_a_file_without_weights(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"w\.pth holds"):
        read_state_dict(tmp_path / "w.pth")


def test_a_whole_pickled_model_is_refused(tmp_path: Path) -> None:
    torch.save(net(), tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="Python objects") as caught:
        read_state_dict(tmp_path / "w.pth")
    assert "state_dict" in caught.value.hint


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such"):
        read_state_dict(tmp_path / "w.pth")


def test_a_text_is_no_checkpoint(tmp_path):
    file = tmp_path / "weights.pth"
    file.write_text("these are no weights\n")
    with pytest.raises(CheckpointError, match="neither a torch file nor safetensors"):
        read_state_dict(file)
