"""Configurations of the published simulator: the numbers that the spec gives, and files that must be refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import asim_fx
from asim_fx.compat import simulate_case
from asim_fx.errors import SpecError
from asim_fx.importing.config import ImportedConfig, import_config
from asim_fx.importing.config_file import parse_config
from asim_fx.spec import parse_spec
from tests.cli.command import run
from tests.importing.configs import CNN, HEAD, VIT, config_text


def imported(settings: dict[str, Any], **changes: Any) -> ImportedConfig:
    return import_config(parse_config(config_text(settings, **changes), "config.py"))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 12, 3, padding=1)
        self.conv = nn.Conv2d(12, 10, 3, stride=2, padding=1)
        self.fc = nn.Linear(10 * 16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).relu()
        return self.fc(self.conv(x).relu().flatten(1))


def test_a_cnn_computes_what_these_arguments_give() -> None:
    """Layer by layer the numbers of the operation that takes ASiM's own arguments."""
    torch.manual_seed(0)
    net, x = Net().eval(), torch.randn(3, 3, 8, 8)
    spec = parse_spec(imported(CNN).text, "imported")
    result = asim_fx.convert(net, spec, x)(x)

    def layer(op: str, name: str, value: Tensor, signed: bool, cfg: dict[str, Any], **geometry: int) -> Tensor:
        module = net.get_submodule(name)
        arrays = {"x": value, "w": module.weight.detach(), "b": module.bias.detach()}
        return simulate_case({"op": op, "signed": signed, "cfg": cfg, **geometry}, arrays)

    stem = {"wbit": 8, "xbit": 8, "nrow": 27, "adc_prec": None}
    conv = {"wbit": 7, "xbit": 6, "nrow": 90, "adc_prec": 6, "act_enc": 2}
    linear = {"wbit": 5, "xbit": 4, "nrow": 20, "adc_prec": 5}
    y = layer("conv", "stem", x, True, stem, padding=1).relu()
    y = layer("conv", "conv", y, False, conv, padding=1, stride=2).relu()
    expected = layer("linear", "fc", y.flatten(1), False, linear)
    assert (result - expected).abs().max() <= 1e-5 * expected.abs().max()


class Block(nn.Module):
    """A ViT's attention, MLP and classifier under torchvision's names."""

    def __init__(self) -> None:
        super().__init__()
        self.self_attention = nn.MultiheadAttention(24, 3, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(24, 40), nn.GELU(), nn.Linear(40, 24))
        self.head = nn.Linear(24, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.mlp(self.self_attention(x, x, x, need_weights=False)[0]).mean(1))


def test_every_part_of_a_vit_gets_its_own_bits() -> None:
    spec = parse_spec(imported(VIT).text, "imported")
    rows = asim_fx.convert(Block().eval(), spec, torch.randn(2, 6, 24)).report.rows
    bits = {row.name: (row.weight_bits, row.input_bits, row.signed, row.input_encoding) for row in rows}
    assert bits == {
        "self_attention.in_proj": (6, 7, True, 2),
        "self_attention.qk": (6, 7, True, 2),
        "self_attention.av": (6, 5, False, 2),
        "self_attention.out_proj": (6, 7, True, 2),
        "mlp.0": (6, 6, True, 1),
        "mlp.2": (6, 6, True, 1),
        "head": (5, 5, True, 1),
    }


def test_nothing_in_the_file_is_passed_over_in_silence() -> None:
    result = imported({**VIT, **CNN}, asim_cnn_hybrid_levels=2, new_setting=3)
    accounts = {account.setting: account for account in result.accounts}
    assert set(CNN) | set(VIT) | {"image_size", "max_epoch", "milestones", "transforms_test", "large_model"} <= set(
        accounts
    )
    assert all(account.became or account.reason for account in result.accounts)
    assert accounts["new_setting"].reason == "not known"
    assert accounts["asim_conv_adc_prec"].became == "macro.adc.bits of convolutions"
    assert accounts["asim_vit_mlp_wbit"].of_other_models
    assert not any(account.of_other_models for account in result.accounts if account.setting in CNN)
    assert result.document["defaults"]["hybrid"] == {"levels": 2}
    assert any("digital cycles are exact" in note for note in result.notes)


def test_layers_that_are_not_simulated_are_digital() -> None:
    result = imported(CNN, asim_linear_mode="Inference", asim_linear_trim_noise=20.0)
    (rule,) = [rule for rule in result.document["rules"] if rule["match"] == {"op": "linear"}]
    assert rule["target"] == "integer"
    assert "macro" not in rule
    reasons = {account.setting: account.reason for account in result.accounts}
    assert "asim_linear_mode is 'Inference'" in reasons["asim_linear_adc_prec"]
    assert "training noise" in reasons["asim_linear_trim_noise"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("import subprocess", "import subprocess"),
        ("from mine import *", "import mine"),
        ("__import__('os').system('touch was_run')", "is code"),
        ("open('was_run', 'w')", "is code"),
        ("def f(): pass", "is code"),
        ("for cfg.asim_conv_wbit in [4]: pass", "is code"),
        ("cfg.asim_conv_wbit = int('4')", "cfg.asim_conv_wbit"),
        ("cfg.asim_conv_wbit = 4 if cfg.PACT else 8", "must be a literal"),
        ("cfg.asim_conv_wbit = [bits for bits in (4,)][0]", "must be a literal"),
        ("cfg.asim_conv_wbit = other.bits", "must be a literal"),
        ("cfg.asim_conv_wbit += 1", "is code"),
        ("cfg['asim_conv_wbit'] = 4", "is not `cfg.NAME = VALUE`"),
        ("cfg.train_dir = open('was_run', 'w').name", "is code"),
        ("cfg.test_dir = [print(n) for n in 'ab']", "is code"),
        ("if True:\n    cfg.asim_conv_wbit = 4", "depends on a condition"),
        ("if True:\n    open('was_run', 'w')", "depends on the condition"),
        ("assert open('was_run', 'w')", "is code"),
        ("assert (cfg := 3)", "is code"),
        ("assert True, open('was_run', 'w')", "is code"),
        ("if open('was_run', 'w'):\n    pass", "is code"),
        ("if setattr(cfg, 'asim_conv_wbit', 4): pass", "is code"),
        ("if (cfg := 3):\n    pass", "is code"),
        ("cfg = dict(asim_conv_wbit=4)", "only `cfg = EasyDict()`"),
        ("cfg = 3", "only `cfg = EasyDict()`"),
        ("import torch as cfg", "may come from elsewhere"),
        ("if __name__ in ['__main__']:\n    cfg.asim_conv_wbit = 4", "depends on a condition"),
        ("if __name__ != '__main__':\n    open('was_run', 'w')", "is code"),
        ("if __name__ == '__main__':\n    pass\nelse:\n    open('was_run', 'w')", "is code"),
        ("cfg.asim_conv_wbit = = 4", "not Python"),
    ],
)
def test_code_is_refused_with_its_line_and_never_runs(
    line: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = config_text(CNN) + line + "\n"
    number = text[: text.rindex(line)].count("\n") + 1
    with pytest.raises(SpecError) as error:
        parse_config(text, "config.py")
    assert words in str(error.value)
    assert any(f"config.py:{number + extra}:" in str(error.value) for extra in (0, 1, 3))
    assert not (tmp_path / "was_run").exists()


@pytest.mark.parametrize(
    ("lines", "bits"),
    [
        ("if __name__ == '__main__':\n    cfg.asim_conv_wbit = 4", 7),
        ("if '__main__' == __name__:\n    open('was_run', 'w')", 7),
        ("if __name__ != '__main__':\n    cfg.asim_conv_wbit = 4", 4),
        ("if __name__ == '__main__':\n    pass\nelse:\n    cfg.asim_conv_wbit = 4", 4),
        ("if __name__ != '__main__':\n    pass\nelse:\n    cfg.asim_conv_wbit = 4", 7),
        ("if __name__ == '__main__':\n    pass\nelif __name__ != '__main__':\n    cfg.asim_conv_wbit = 4", 4),
    ],
)
def test_a_main_guard_does_what_it_does_when_the_file_is_imported(lines: str, bits: int) -> None:
    file = parse_config(config_text(CNN) + lines + "\n", "config.py")
    assert file.settings["asim_conv_wbit"].value == bits


def test_a_second_object_starts_without_settings() -> None:
    file = parse_config(config_text(CNN) + "cfg = EasyDict()\ncfg.model_name = 'VGG16-BN'\n", "config.py")
    assert set(file.settings) == {"model_name"}
    refused = config_text(CNN) + "cfg = EasyDict()\ncfg.task = cfg.model_name\n"
    with pytest.raises(SpecError, match="must be a literal"):
        parse_config(refused, "config.py")


def test_a_misspelt_setting_is_noted() -> None:
    notes = imported(CNN, asim_conv_wbits=4).notes
    (note,) = [note for note in notes if "asim_conv_wbits" in note]
    assert "has no effect; did you mean cfg.asim_conv_wbit?" in note
    assert not any("not a known setting" in note for note in imported({**VIT, **CNN}).notes)


def test_more_hybrid_levels_than_there_are_are_all_of_them() -> None:
    result = imported(CNN, asim_cnn_hybrid_levels=99)
    assert result.document["defaults"]["hybrid"] == {"levels": 7 + 3 - 1}
    assert sum("all 9 levels of convolutions" in note for note in result.notes) == 1


def test_batch_norms_are_not_to_be_folded() -> None:
    assert any("--no-fold-batch-norm" in note for note in imported(CNN).notes)
    assert not any("--no-fold-batch-norm" in note for note in imported(VIT).notes)


def test_an_empty_file_has_one_error() -> None:
    with pytest.raises(SpecError) as error:
        import_config(parse_config("", "config.py"))
    assert str(error.value) == "config.py: cfg.model_name is missing"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"asim_conv_wbit": "8"}, ["cfg.asim_conv_wbit", "whole number", "'8'"]),
        ({"asim_conv_wbit": True}, ["cfg.asim_conv_wbit", "True"]),
        ({"asim_conv_wbit": 40}, ["cfg.asim_conv_wbit", "16"]),
        ({"asim_conv_nrow": 0}, ["cfg.asim_conv_nrow"]),
        ({"asim_linear_adc_prec": -1}, ["cfg.asim_linear_adc_prec"]),
        ({"asim_linear_rand_noise_sigma": -0.1}, ["cfg.asim_linear_rand_noise_sigma"]),
        ({"asim_conv_mode": "Simulate"}, ["cfg.asim_conv_mode", "Train"]),
        ({"model_name": "LeNet"}, ["cfg.model_name", "LeNet", "ResNet-18"]),
        ({"model_name": 18}, ["cfg.model_name"]),
    ],
)
def test_values_that_make_no_spec_name_their_line(changes: dict[str, Any], words: list[str]) -> None:
    text = config_text(CNN, **changes)
    name = next(iter(changes))
    number = next(n for n, line in enumerate(text.splitlines(), 1) if line.startswith(f"cfg.{name} "))
    with pytest.raises(SpecError) as error:
        import_config(parse_config(text, "config.py"))
    assert all(word in str(error.value) for word in [*words, f"config.py:{number}:"])


def test_all_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(SpecError) as error:
        import_config(parse_config(HEAD + "cfg.model_name = 'VGG16-BN'\n", "config.py"))
    assert all(f"cfg.{name} is missing" in str(error.value) for name in ("task", "asim_conv_wbit", "quant_conv_xbit"))


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file, spec = tmp_path / "config.py", tmp_path / "spec.yaml"
    file.write_text(config_text(CNN))
    done = run(capsys, "asim-import", "config", file, "-o", spec)
    assert (done.code, done.err) == (0, "")
    assert "asim_conv_nrow" in done.out
    assert run(capsys, "asim-spec", "check", spec).code == 0
    printed = run(capsys, "asim-import", "config", file)
    assert printed.out == spec.read_text()
    assert "asim_conv_nrow" in printed.err
    record = json.loads(run(capsys, "asim-import", "config", file, "--json").out)
    assert record["spec"]["macros"]["m"]["rows"] == 90
    assert len(record["settings"]) > len(CNN)
    file.write_text(config_text(CNN) + "print(1)")
    refused = run(capsys, "asim-import", "config", file)
    assert refused.code == 2
    assert "print(1)" in refused.err
    assert "never run" in refused.err
    assert run(capsys, "asim-import", "config", tmp_path / "none.py").code == 2


def test_nothing_is_written_over(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file, spec = tmp_path / "config.py", tmp_path / "spec.yaml"
    file.write_text(config_text(CNN))
    spec.write_text("# mine\n")
    refused = run(capsys, "asim-import", "config", file, "-o", file, "--overwrite")
    assert refused.code == 2
    assert "is a file that the command reads" in refused.err
    refused = run(capsys, "asim-import", "config", file, "-o", spec)
    assert refused.code == 2
    assert "--overwrite replaces it" in refused.err
    assert (file.read_text(), spec.read_text()) == (config_text(CNN), "# mine\n")
    assert run(capsys, "asim-import", "config", file, "-o", spec, "--overwrite").code == 0
    assert "mine" not in spec.read_text()
