"""The wheel holds everything and needs nothing of the repository."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # A copy, since setuptools writes into the folder that it builds from.
    source = tmp_path_factory.mktemp("source")
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    for name in filter(None, map(bytes.decode, files)):
        if (ROOT / name).is_file() and not name.startswith(("tests/", "docs/")):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "-w", str(target), str(source)]
    subprocess.run(command, check=True)
    return next(target.glob("*.whl"))


def test_only_one_top_level_package(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"asim_fx"}


def test_every_module_and_data_file_is_in_it(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    expected = {
        f"{name}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, name in (("asim_fx", "asim_fx"), ("passes", "asim_fx/passes"), ("hwspecs", "asim_fx/hwspecs"))
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert not expected - held


def test_it_runs_from_another_directory(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    code = (
        "import asim_fx, torch; from asim_fx.models import build_model\n"
        "assert asim_fx.__file__.startswith({site!r}), asim_fx.__file__\n"
        "built = build_model('asim:digits_resnet')\n"
        "converted = asim_fx.convert(built.model, 'ideal', torch.zeros(2, *built.source.input_size), source=built.source)\n"
        "converted.save({out!r})\n"
        "print(asim_fx.load({out!r}).report.totals['sites'])"
    ).format(site=str(site), out=str(tmp_path / "out"))
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(site), "PATH": "", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "10"
