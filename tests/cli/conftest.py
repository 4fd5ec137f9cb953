"""A converted digits model, saved once."""

from __future__ import annotations

from pathlib import Path

import pytest

import asim_fx


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from asim_fx.cli.work.planning import ConversionOptions, ModelOptions, convert_model

    folder = tmp_path_factory.mktemp("artifact") / "digits"
    converted = convert_model(
        "asim:digits_resnet", "generic-255x8b", ModelOptions(), ConversionOptions(), lambda _: None
    )
    assert isinstance(converted, asim_fx.ConvertedModel)
    converted.save(folder)
    return folder
