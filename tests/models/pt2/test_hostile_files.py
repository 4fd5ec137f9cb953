"""Files that would run code when torch reads them are refused, and run none; so are files that are no programs."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.export.pt2_archive import constants as torch_names

from asim_fx.errors import AsimError, ExitCode
from asim_fx.models.pt2 import clean_archive, read_program

from .archives import CONSTANTS, PROGRAM, SAMPLES, TABLE, Members, edit_json, rewrite, write_tiny


class Opener:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.path), "w")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny") / "tiny.pt2"
    write_tiny(path)
    return path


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "ran"


def torch_pickle(value: Any) -> bytes:
    content = io.BytesIO()
    torch.save(value, content)
    return content.getvalue()


def expression(marker: Path) -> str:
    return f"Basic.copy.__globals__['__builtins__']['open']({str(marker)!r}, 'w')"


def in_samples(marker: Path) -> Callable[[Members], None]:
    return lambda members: members.update({SAMPLES: torch_pickle(((Opener(marker),), {}))})


def in_legacy_weights(marker: Path) -> Callable[[Members], None]:
    return lambda members: members.update({"data/weights/model.pt": torch_pickle({"w": Opener(marker)})})


def in_legacy_constants(marker: Path) -> Callable[[Members], None]:
    return lambda members: members.update({"data/constants/model.pt": torch_pickle({"w": Opener(marker)})})


def in_a_weight(marker: Path) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        edit_json(TABLE, lambda table: table["config"]["conv.bias"].update(use_pickle=True))(members)
        name = json.loads(members[TABLE])["config"]["conv.bias"]["path_name"]
        members[f"data/weights/{name}"] = torch_pickle(Opener(marker))

    return change


def in_a_constant(marker: Path) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        entry = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}
        edit_json(CONSTANTS, lambda table: table["config"].update(thing=entry))(members)
        members["data/constants/opaque_obj_0"] = pickle.dumps(Opener(marker))

    return change


def in_a_pickled_tensor(marker: Path) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        entry = {"path_name": "tensor_0", "is_param": False, "use_pickle": True, "tensor_meta": None}
        edit_json(CONSTANTS, lambda table: table["config"].update(thing=entry))(members)
        members["data/constants/tensor_0"] = torch_pickle(Opener(marker))

    return change


def in_an_expression(marker: Path) -> Callable[[Members], None]:
    def change(program: Any) -> None:
        sizes = program["graph_module"]["graph"]["tensor_values"]["x"]["sizes"]
        sizes[0]["as_expr"]["expr_str"] = expression(marker)

    return edit_json(PROGRAM, change)


def in_a_structure(marker: Path) -> Callable[[Members], None]:
    (marker.parent / "hostile_module.py").write_text(f"open({str(marker)!r}, 'w')\nclass A: pass\n")
    context = json.dumps([{"__enum__": True, "fqn": "hostile_module:A", "name": "B"}])
    structure = json.dumps([1, {"type": "builtins.list", "context": context, "children_spec": []}])

    def change(program: Any) -> None:
        program["graph_module"]["module_call_graph"][0]["signature"]["out_spec"] = structure

    return edit_json(PROGRAM, change)


ATTACKS = [
    in_samples,
    in_legacy_weights,
    in_legacy_constants,
    in_a_weight,
    in_a_constant,
    in_a_pickled_tensor,
    in_an_expression,
    in_a_structure,
]


@pytest.fixture
def importable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "hostile_module", raising=False)


@pytest.mark.parametrize("attack", ATTACKS)
def test_code_in_a_file_is_refused_and_never_runs(
    attack: Callable[[Path], Callable[[Members], None]], tiny: Path, tmp_path: Path, marker: Path, importable: None
) -> None:
    file = rewrite(tiny, tmp_path / "hostile.pt2", attack(marker))
    with pytest.raises(AsimError) as caught:
        read_program(file)
    assert caught.value.exit_code == ExitCode.USAGE
    assert "refused" in str(caught.value)
    assert not marker.exists()


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.filterwarnings("ignore")
def test_the_same_file_runs_code_in_torch(
    attack: Callable[[Path], Callable[[Members], None]], tiny: Path, tmp_path: Path, marker: Path, importable: None
) -> None:
    """Otherwise the test above shows nothing."""
    if attack is in_a_constant and not hasattr(torch_names, "OPAQUE_OBJ_FILENAME_PREFIX"):
        pytest.skip("this torch does not read objects of this kind")
    file = rewrite(tiny, tmp_path / "hostile.pt2", attack(marker))
    with contextlib.suppress(Exception):  # it runs before it fails
        torch.export.load(file)
    assert marker.exists()


def node_with(**fields: Any) -> Callable[[Any], None]:
    def change(program: Any) -> None:
        program["graph_module"]["graph"]["nodes"][0].update(fields)

    return change


def set_parameter_name(name: str) -> Callable[[Any], None]:
    def change(program: Any) -> None:
        program["graph_module"]["signature"]["input_specs"][0]["parameter"]["parameter_name"] = name

    return change


def set_custom_object(program: Any) -> None:
    program["graph_module"]["graph"]["custom_obj_values"] = {"obj": {"name": "obj", "class_fqn": "a.B"}}


def set_input(argument: Any) -> Callable[[Any], None]:
    def change(program: Any) -> None:
        program["graph_module"]["graph"]["nodes"][0]["inputs"][0]["arg"] = argument

    return change


@pytest.mark.parametrize(
    "change",
    [
        node_with(target="torch.hub.load"),
        node_with(target="torch.load"),
        node_with(target="torch.os.system"),
        node_with(target="_operator.attrgetter"),
        node_with(target="torch.ops.load_library"),
        node_with(target="torch.ops.aten.from_file.default"),
        node_with(target="torch.ops.aten.save.default"),
        node_with(target="torch.ops.higher_order.call_torchbind"),
        node_with(target="#custom:thing"),
        node_with(name="x = open('ran', 'w')\ny"),
        node_with(name="torch.load"),
        set_parameter_name('conv", open("ran", "w"), "'),
        set_parameter_name("__class__.forward"),
        set_custom_object,
        set_input({"as_operator": "torch.hub.load"}),
        set_input({"as_custom_obj": {"name": "obj", "class_fqn": "a.B"}}),
        set_input({"as_int": 2**80}),
    ],
)
def test_what_reaches_beyond_tensors_is_refused(change: Callable[[Any], None], tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(AsimError) as caught:
        read_program(rewrite(tiny, tmp_path / "hostile.pt2", edit_json(PROGRAM, change)))
    assert caught.value.exit_code == ExitCode.USAGE
    assert "refused" in str(caught.value)


def test_an_operation_of_another_library_cannot_be_captured(tiny: Path, tmp_path: Path) -> None:
    change = edit_json(PROGRAM, node_with(target="torch.ops.mylib.multiply.default"))
    with pytest.raises(AsimError, match="mylib::multiply") as caught:
        read_program(rewrite(tiny, tmp_path / "custom.pt2", change))
    assert caught.value.exit_code == ExitCode.CAPTURE


def test_guards_and_debugging_notes_are_left_out(tiny: Path, tmp_path: Path, marker: Path) -> None:
    def change(program: Any) -> None:
        program["guards_code"] = [f"open({str(marker)!r}, 'w')"]
        for node in program["graph_module"]["graph"]["nodes"]:
            node["metadata"]["source_fn_stack"] = "x,torch.hub.load"

    file = read_program(rewrite(tiny, tmp_path / "noted.pt2", edit_json(PROGRAM, change)))
    assert file.program.module()(torch.zeros(3, 3, 6, 6)).shape == (3, 3)
    assert not marker.exists()


def test_what_is_given_to_torch_holds_no_pickle(tiny: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(clean_archive(tiny))) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    assert held["program/data/sample_inputs/model.pt"] == b""
    assert not any(content[:2] == b"\x80\x02" or b"data.pkl" in content for content in held.values())


def make_larger(table: Any) -> None:
    meta = table["config"]["conv.weight"]["tensor_meta"]
    meta["sizes"] = [{"as_int": 2**40}] * 4


def make_repeated(table: Any) -> None:
    meta = table["config"]["conv.weight"]["tensor_meta"]
    meta["sizes"] = [{"as_int": 2**20}] * 4
    meta["strides"] = [{"as_int": 0}] * 4


def empty_weight(members: Members) -> None:
    edit_json(TABLE, make_larger)(members)
    members["data/weights/weight_0"] = b""


@pytest.mark.parametrize(
    "change",
    [
        edit_json(TABLE, make_larger),
        edit_json(TABLE, make_repeated),
        empty_weight,
        lambda members: members.pop(PROGRAM),
        lambda members: members.pop(TABLE),
        lambda members: members.pop("data/weights/weight_0"),
        lambda members: members.update({PROGRAM: b"{"}),
        lambda members: members.update({PROGRAM: b"[" * 100_000}),
        lambda members: members.update({PROGRAM: b"{}"}),
        lambda members: members.update({PROGRAM: b"[]"}),
        lambda members: members.update({PROGRAM: b"\xff\xfe"}),
        lambda members: members.update({TABLE: b'{"config": 3}'}),
        lambda members: members.update({"data/aotinductor/model/a.so": b""}),
        lambda members: members.update({"models/other.json": b"{}"}),
        lambda members: members.update({"archive_version": b"1"}),
        lambda members: members.update({"../../outside": b""}),
        edit_json(PROGRAM, lambda program: program.pop("graph_module")),
        edit_json(PROGRAM, lambda program: program.update(schema_version={"major": 999, "minor": 0})),
        edit_json(PROGRAM, lambda program: program["graph_module"]["graph"]["nodes"].pop(0)),
    ],
)
def test_a_damaged_file_is_one_clear_error(change: Callable[[Members], Any], tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(AsimError) as caught:
        read_program(rewrite(tiny, tmp_path / "damaged.pt2", change))
    assert caught.value.exit_code == ExitCode.USAGE


def test_a_file_that_expands_is_refused(tiny: Path, tmp_path: Path) -> None:
    def bloat(members: Members) -> None:
        members["extra/zeros"] = bytes(50_000_000)

    file = rewrite(tiny, tmp_path / "bomb.pt2", bloat, compression=zipfile.ZIP_DEFLATED)
    assert file.stat().st_size < 200_000
    with pytest.raises(AsimError, match="compressed"):
        read_program(file)


@pytest.mark.parametrize("keep", [0, 10, 1000, -1000, -1])
def test_a_truncated_file_is_refused(keep: int, tiny: Path, tmp_path: Path) -> None:
    file = tmp_path / "cut.pt2"
    file.write_bytes(tiny.read_bytes()[:keep])
    with pytest.raises(AsimError) as caught:  # cut after the sample inputs, an archive themselves, it looks like those
        read_program(file)
    assert caught.value.exit_code == ExitCode.USAGE


def test_two_members_of_one_name_are_refused(tiny: Path, tmp_path: Path) -> None:
    """Readers differ in which of the two they take."""
    file = tmp_path / "twice.pt2"
    file.write_bytes(tiny.read_bytes())
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(file, "a") as archive:
        archive.writestr(archive.namelist()[0], b"")
    with pytest.raises(AsimError, match="laid out"):
        read_program(file)


def test_an_old_archive_is_refused_with_advice(tmp_path: Path, marker: Path) -> None:
    file = tmp_path / "old.pt2"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("version", b"8.1")
        archive.writestr("serialized_exported_program.json", b"{}")
        archive.writestr("serialized_state_dict.pt", torch_pickle({"w": Opener(marker)}))
    with pytest.raises(AsimError, match="pickled") as caught:
        read_program(file)
    assert "export it again" in caught.value.hint
    assert not marker.exists()
