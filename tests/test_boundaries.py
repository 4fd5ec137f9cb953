"""The layers import only what they may know: the table in CONTRIBUTING.md."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FORBIDDEN = {
    "asim_fx/spec": ("torch", "numpy", "asim_fx.ops", "asim_fx.nn", "asim_fx.passes", "asim_fx.report", "asim_fx.cli"),
    "asim_fx/graph": ("asim_fx.passes", "asim_fx.ops", "asim_fx.nn", "asim_fx.report", "asim_fx.cli", "asim_fx.spec"),
    "asim_fx/ops": ("asim_fx.passes", "asim_fx.spec", "asim_fx.report", "asim_fx.cli", "asim_fx.rules", "asim_fx.nn"),
    "asim_fx/nonidealities": ("asim_fx.passes", "asim_fx.spec", "asim_fx.report", "asim_fx.cli", "asim_fx.nn"),
    "asim_fx/nn": ("asim_fx.passes", "asim_fx.spec", "asim_fx.report", "asim_fx.cli"),
    "asim_fx/cost": (
        "torch",
        "numpy",
        "asim_fx.ops",
        "asim_fx.nn",
        "asim_fx.passes",
        "asim_fx.report",
        "asim_fx.cli",
        "asim_fx.conversion",
    ),
    "asim_fx/mapping": (
        "torch",
        "numpy",
        "asim_fx.ops",
        "asim_fx.nn",
        "asim_fx.passes",
        "asim_fx.report",
        "asim_fx.cli",
        "asim_fx.conversion",
    ),
    "asim_fx/report": (
        "torch",
        "asim_fx.passes",
        "asim_fx.nn",
        "asim_fx.cli",
        "asim_fx.conversion",
        "asim_fx.pipeline",
    ),
    "passes": (
        "asim_fx.ops",
        "asim_fx.nn",
        "asim_fx.report",
        "asim_fx.cli",
        "asim_fx.conversion",
        "timm",
        "torchvision",
    ),
}
MAY = {
    "passes/lower_sites.py": ("asim_fx.nn", "asim_fx.ops"),
    "passes/read_effects.py": ("asim_fx.ops",),
    "passes/restore_training.py": ("asim_fx.nn",),
}
TORCH_FREE_FILES = (
    "asim_fx/encoding.py",
    "asim_fx/errors.py",
    "asim_fx/ir.py",
    "asim_fx/rules.py",
    "asim_fx/passlog.py",
    "asim_fx/models/source.py",
)


def imports(path: Path, *, lazy: bool = True) -> set[str]:
    """Return the modules that a file imports when it runs; what stands under TYPE_CHECKING does not count."""
    tree = ast.parse(path.read_text())
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
        or (not lazy and isinstance(node, ast.FunctionDef))
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def belongs(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


FILES = [(folder, path) for folder in FORBIDDEN for path in sorted((ROOT / folder).rglob("*.py"))]


@pytest.mark.parametrize(("folder", "path"), FILES, ids=[str(path.relative_to(ROOT)) for _, path in FILES])
def test_a_layer_imports_only_what_it_may_know(folder: str, path: Path) -> None:
    allowed = MAY.get(str(path.relative_to(ROOT)), ())
    found = imports(path)
    wrong = {
        module
        for module in found
        for package in FORBIDDEN[folder]
        if belongs(module, package) and not any(belongs(module, other) for other in allowed)
    }
    assert not wrong


@pytest.mark.parametrize("name", TORCH_FREE_FILES)
def test_plain_values_need_no_torch(name: str) -> None:
    assert not any(belongs(module, "torch") for module in imports(ROOT / name))


@pytest.mark.parametrize("path", sorted((ROOT / "asim_fx/cli").glob("*.py")), ids=lambda path: path.name)
def test_commands_import_torch_only_when_they_work(path: Path) -> None:
    heavy = ("torch", "timm", "torchvision", "asim_fx.conversion", "asim_fx.models", "asim_fx.cli.work")
    assert not any(belongs(module, package) for module in imports(path, lazy=False) for package in heavy)


def test_no_exported_name_is_also_a_module() -> None:
    import asim_fx

    modules = {path.stem for path in (ROOT / "asim_fx").glob("*")}
    assert set(asim_fx.__all__) & modules <= {"compat"}
