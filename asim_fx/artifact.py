"""Save and load a converted model: a folder that anyone can read, and in which nothing is pickled.

    manifest.json       what it is, from what, with which versions; SHA-256 of every other file
    hwspec.yaml         the spec as the user wrote it
    measured-N.csv      the measured files that it names, if any
    model.safetensors   the weights of the converted graph
    program.pt2         the model itself, for one that came from such a file; without the pickles of the original
    calibration.json    what was calibrated, if anything: scales, converter windows, and what they clip
    probe.json          how faithful each site is, if asim-simulate --probe measured it; later than the hashes
    report.json         the mapping, site by site, with where each setting came from
    report.html         the same for people

Loading builds the model again from its name, runs the same passes, and compares: an artifact holds no code and names
none.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.export import ExportedProgram

from asim_fx.artifact_files import (
    CALIBRATION,
    FORMAT,
    MANIFEST,
    PAGE,
    PROGRAM,
    REPORT,
    SPEC,
    WEIGHTS,
    check_files,
    measured_text,
    read_manifest,
    sha256,
)
from asim_fx.calibration import restore
from asim_fx.capture import InputSignature, module_of
from asim_fx.conversion import convert, versions
from asim_fx.converted import ConvertedModel
from asim_fx.errors import ArtifactError, AsimError, OutputError, SpecError
from asim_fx.fingerprint import fingerprint
from asim_fx.likeness import weight_differences
from asim_fx.models import ModelSource
from asim_fx.models.exported import file_hash
from asim_fx.models.pt2 import clean_archive
from asim_fx.models.pt2.words import check_structure
from asim_fx.report import calibrated
from asim_fx.report.files import render
from asim_fx.spec import HardwareSpec, load_spec, parse_spec
from asim_fx.spec.document import complete_document, to_yaml


def save(converted: ConvertedModel, directory: str | os.PathLike[str]) -> None:
    """Write a converted model as a folder. Everything is written beside it first and then renamed.

    Args:
        converted: what to save.
        directory: where; an earlier artifact there is replaced.

    Raises:
        OutputError: the folder cannot be written, or holds something that is no artifact.
    """
    if converted.recipe.trainable:
        message = "this is the training form of a model, which no artifact can hold"
        raise OutputError(message, hint="asim_fx.training.deploy makes a model to save of it")
    target = Path(directory)
    if target.exists() and not _replaceable(target):
        message = f"{target} exists and is no artifact"
        raise OutputError(message, hint="choose another folder, or remove it")
    staging = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        _write(converted, staging)
        _let_others_read(staging)
        _swap(staging, target)
    except (OSError, SafetensorError) as error:
        message = f"cannot write {target}: {getattr(error, 'strerror', None) or error}"
        raise OutputError(message) from error
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)


def load(directory: str | os.PathLike[str], model: nn.Module | ExportedProgram | None = None) -> ConvertedModel:
    """Read a converted model back, and refuse one that was changed or that no longer means the same.

    Args:
        directory: what ``save`` wrote.
        model: the original model, its weights aside. Needed where it came from Python: an artifact never names code.

    Raises:
        ArtifactError: a file is missing or was changed, the model is another one, or it is captured differently here.
    """
    folder = Path(directory)
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    try:
        source = None if manifest["source"] is None else ModelSource.from_json(manifest["source"])
        if source is not None and source.kind == "exported":
            program = folder / PROGRAM
            source = replace(source, name=str(program), sha256=file_hash(program))
        check_structure(manifest["inputs"]["structure"], "structure of the inputs")
        signature = InputSignature.from_json(manifest["inputs"])
        measured = dict(manifest["measured"])
        spec = load_spec(
            folder / SPEC, manifest["overrides"], read_file=lambda path: measured_text(folder, measured[path])
        )
        strict, fold_batch_norm = bool(manifest["strict"]), bool(manifest["fold_batch_norm"])
        pact = bool(manifest["pact"])
        name, seed, expected = str(manifest["name"]), int(manifest["seed"]), str(manifest["fingerprint"])
        saved_versions = dict(manifest["versions"])
    except (KeyError, TypeError, ValueError) as error:
        message = f"{folder / MANIFEST} is not a manifest of format {FORMAT}: {error!r}"
        raise ArtifactError(message) from error
    args, kwargs = signature.example()
    original = _original(source, model)
    try:
        converted = convert(
            original,
            spec,
            args,
            kwargs,
            name=name,
            source=source,
            strict=strict,
            fold_batch_norm=fold_batch_norm,
            pact=pact,
            seed=seed,
        )
    except AsimError as error:
        if model is not None:
            _refuse_other_model(folder, original, error)
        raise
    if CALIBRATION in manifest["files"]:
        record = (folder / CALIBRATION).read_bytes()
        restore(converted, calibrated.from_json(record))
        converted.calibration_images = calibrated.images_from_json(record)
    if fingerprint(converted.graph_modules) != expected:
        if model is not None:
            _refuse_other_model(folder, original)
        message = f"{folder} was made from another model, or captured differently by other versions"
        raise ArtifactError(message, hint=_compare_versions(saved_versions))
    try:
        converted.body.load_state_dict(load_file(folder / WEIGHTS), strict=True)
    except (RuntimeError, SafetensorError) as error:
        message = f"{folder / WEIGHTS} does not fit the model: {str(error).splitlines()[0]}"
        raise ArtifactError(message) from error
    return converted


def _write(converted: ConvertedModel, folder: Path) -> None:
    recipe = converted.recipe
    text, overrides = _spec_text(recipe.spec)
    (folder / SPEC).write_text(text, encoding="utf-8")
    measured = {path: f"measured-{number}.csv" for number, path in enumerate(recipe.spec.files)}
    for path, name in measured.items():
        (folder / name).write_bytes(recipe.spec.files[path].text.encode("utf-8"))
    (folder / REPORT).write_text(render(converted.report, "json"), encoding="utf-8")
    (folder / PAGE).write_text(render(converted.report, "html"), encoding="utf-8")
    if converted.calibration:
        (folder / CALIBRATION).write_text(
            calibrated.to_json(converted.calibration, converted.calibration_images), encoding="utf-8"
        )
    save_file(_separate_tensors(converted.body), folder / WEIGHTS)
    source = _saved_source(recipe.source, folder)
    manifest = {
        "format": FORMAT,
        "name": recipe.name,
        "source": None if source is None else source.to_json(),
        "inputs": converted.signature.to_json(),
        "overrides": list(overrides),
        "measured": measured,
        "strict": recipe.strict,
        "fold_batch_norm": recipe.fold_batch_norm,
        "pact": recipe.pact,
        "seed": converted.seed,
        "fingerprint": fingerprint(converted.graph_modules),
        "versions": versions(),
        "files": {path.name: sha256(path) for path in sorted(folder.iterdir())},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, default=str) + "\n", encoding="utf-8")


def _saved_source(source: ModelSource | None, folder: Path) -> ModelSource | None:
    """Return what an artifact says of a model's source; of a file, it gets a copy.

    Raises:
        ArtifactError: the file is another one by now.
    """
    if source is None or source.kind == "python":
        return None
    if source.kind != "exported":
        return source
    path = Path(source.name)
    if file_hash(path) != source.sha256:
        message = f"{path} was changed since it was converted"
        raise ArtifactError(message, hint="convert it again")
    (folder / PROGRAM).write_bytes(clean_archive(path))
    return replace(source, name=PROGRAM, sha256="")


def _spec_text(spec: HardwareSpec) -> tuple[str, tuple[str, ...]]:
    """Return the text of a spec and its overrides: as the user wrote them, or made anew for one edited in Python."""
    origin, files = spec.origin, spec.files
    try:
        if parse_spec(origin.text, origin.name, origin.overrides, read_file=lambda path: files[path].text) == spec:
            return origin.text, origin.overrides
    except SpecError:
        pass  # There is no text: the spec was built in Python.
    return to_yaml(complete_document(spec)), ()


def _separate_tensors(body: nn.Module) -> dict[str, Tensor]:
    """Return the state dict with a copy of every tensor that shares memory with an earlier one."""
    separate: dict[str, Tensor] = {}
    storages: set[int] = set()
    for name, tensor in body.state_dict().items():
        storage = tensor.untyped_storage().data_ptr()
        separate[name] = tensor.clone() if storage in storages else tensor.contiguous()
        storages.add(storage)
    return separate


def _let_others_read(staging: Path) -> None:
    """Undo the private modes of temporary folders and of safetensors' files."""
    staging.chmod(0o755)
    for path in staging.iterdir():
        path.chmod(0o644)


def _swap(staging: Path, target: Path) -> None:
    """Put ``staging`` in the place of ``target``; what was there is removed only once the new one is in place."""
    if not target.exists():
        staging.rename(target)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent)) / "old"
    try:
        target.rename(old)
        staging.rename(target)
    except BaseException:  # an interrupt too
        if old.exists() and not target.exists():
            old.rename(target)
        raise
    finally:
        shutil.rmtree(old.parent, ignore_errors=True)


def _replaceable(target: Path) -> bool:
    return target.is_dir() and ((target / MANIFEST).is_file() or not any(target.iterdir()))


def _original(source: ModelSource | None, model: nn.Module | ExportedProgram | None) -> nn.Module | ExportedProgram:
    if model is not None:
        return model
    if source is None:
        message = "the artifact was made from a model in Python, which must be given again"
        raise ArtifactError(
            message, hint="asim_fx.load(directory, model=...), or asim-simulate --model pkg.module:factory"
        )
    from asim_fx.models import rebuild_model

    return rebuild_model(source)


def _refuse_other_model(folder: Path, model: nn.Module | ExportedProgram, error: AsimError | None = None) -> None:
    """Say in what the model given differs from the one converted, where its weights show it."""
    differences = weight_differences(module_of(model), load_file(folder / WEIGHTS))
    if differences:
        message = f"this is another model than the one that {folder} was made from: {differences}"
        raise ArtifactError(message, hint="give the original model") from error


def source_name(directory: str | os.PathLike[str]) -> str:
    """Return the name by which an artifact's model is built again; empty where it must be given.

    Raises:
        ArtifactError: the folder is no artifact.
    """
    source = read_manifest(Path(directory)).get("source")
    return str(source.get("name", "")) if isinstance(source, dict) else ""


def _compare_versions(saved: Mapping[str, str]) -> str:
    here = versions()
    changed = [f"{name} {saved.get(name)} then, {now} now" for name, now in here.items() if saved.get(name) != now]
    return "; ".join(changed) if changed else "the versions are the same, so it is another model"
