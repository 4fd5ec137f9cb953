"""Compare a converted model with fake-quantised torch: an independent reference, written out from the numerics.

For a spec with an ideal converter. Every site must equal the fake-quantised torch operation on the operands that it
gets; the lowered graph with every site in float must be the model; together that is the fake-quantised model. The
outputs of the two are compared as well, and may differ more: a rounding difference in one layer can flip a code in the
next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule
from torch.nn import functional as F
from torch.utils import _pytree as pytree

from asim_fx import ConvertedModel
from asim_fx.graph.macs import eager_reference
from asim_fx.nn import CimConv, CimConvTranspose, CimLinear, CimMatmul, CimModule, CimRecurrence
from asim_fx.ops.config import Operand

_CONVOLVE = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_CONVOLVE_TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Largest differences, each as a share of the largest magnitude of the result that it is found in.

    Attributes:
        sites: between a site and fake-quantised torch on the same operands.
        worst_site: where that is.
        graphs: between a lowered graph with every site in float and the module that it replaces.
        outputs: between the outputs of the converted and of the fake-quantised model; None for a model in parts, which
            may choose what it returns by scores that are nearly equal.
        calls: of sites, in one forward pass.
    """

    sites: float
    worst_site: str
    graphs: float
    outputs: float | None
    calls: int


def fake_quantise(tensor: Tensor, operand: Operand, scale: Tensor | None = None) -> Tensor:
    """Return what the codes stand for, in float64 after the rounding; ``scale`` is that of a static operand.

    Raises:
        ValueError: an operand that is taken for unsigned holds a negative value.
    """
    if tensor.numel() == 0:
        return tensor.double()
    tensor = tensor.float()
    if operand.scale == "channel":
        each = replace(operand, scale="tensor")
        return torch.stack([fake_quantise(output, each) for output in tensor])
    if operand.scale == "static":
        assert scale is not None
        code = torch.round((tensor.abs() / scale).clamp(0, 1) * operand.levels) * tensor.sign()
        return (code if operand.signed else code.clamp(min=0)).double() * scale.double() / operand.levels
    if operand.signed:
        scale = tensor.abs().max() + 1e-7
        code = torch.round((tensor.abs() / scale).clamp(0, 1) * operand.levels) * tensor.sign()
    else:
        if float(tensor.min()) < 0:
            message = f"an unsigned operand holds {float(tensor.min())}"
            raise ValueError(message)
        scale = tensor.max() + 1e-7
        code = torch.round((tensor / scale).clamp(0, 1) * operand.levels)
    return code.double() * scale.double() / operand.levels


def reference(module: CimModule, operands: tuple[Any, ...]) -> Any:
    """Return what a site computes, as fake-quantised torch, in float64.

    Args:
        module: the site.
        operands: what it was called with; random numbers, the last one, aside.
    """
    config = module.config
    if isinstance(module, CimMatmul):
        first, second = operands
        of_first, of_second = (config.weight, config.input) if module.stored_first else (config.input, config.weight)
        scales = [module.input_scale, module.weight_scale]
        of_a, of_b = scales[::-1] if module.stored_first else scales
        return fake_quantise(first, of_first, of_a) @ fake_quantise(second, of_second, of_b)
    if isinstance(module, CimRecurrence):
        return _recurrence(module, *operands)
    x, weight, bias = operands
    x = fake_quantise(x, config.input, module.input_scale)
    if isinstance(module, CimConvTranspose) and config.weight.scale == "channel":
        # Outputs come second here, within each group.
        own = weight.reshape(module.groups, -1, *weight.shape[1:]).transpose(1, 2)
        own = fake_quantise(own.flatten(0, 1), config.weight).view(own.shape)
        weight = own.transpose(1, 2).reshape(weight.shape)
    else:
        weight = fake_quantise(weight, config.weight)
    bias = None if bias is None else bias.double()
    if isinstance(module, CimLinear):
        return F.linear(x, weight, bias)
    assert isinstance(module, CimConv | CimConvTranspose)
    geometry = module.geometry
    if isinstance(module, CimConvTranspose):
        padding = [before for before, _ in geometry.padding]
        convolve = _CONVOLVE_TRANSPOSED[len(geometry.kernel)]
        return convolve(
            x, weight, bias, geometry.stride, padding, module.output_padding, module.groups, geometry.dilation
        )
    x = F.pad(x, [size for pair in reversed(geometry.padding) for size in pair])
    groups = x.shape[1] // weight.shape[1]  # a weight for each sample comes with the batch in its groups
    return _CONVOLVE[len(geometry.kernel)](x, weight, bias, geometry.stride, 0, geometry.dilation, groups)


def _recurrence(
    module: CimRecurrence, hidden: Tensor, weight: Tensor, bias: Tensor | None, gates: Tensor, state: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    stored = fake_quantise(weight, module.config.weight)
    bias = None if bias is None else bias.double()
    outputs = [hidden] * len(gates)
    steps = range(len(gates))
    for step in reversed(steps) if module.reverse else steps:
        # In float32 between the steps, as the model itself.
        recurrent = F.linear(fake_quantise(hidden, module.config.input, module.input_scale), stored, bias).float()
        given = gates[step]
        if module.cell == "lstm":
            assert state is not None
            i, f, g, o = (given + recurrent).chunk(4, -1)
            state = f.sigmoid() * state + i.sigmoid() * g.tanh()
            hidden = o.sigmoid() * state.tanh()
        elif module.cell == "gru":
            (xr, xz, xn), (hr, hz, hn) = given.chunk(3, -1), recurrent.chunk(3, -1)
            update = (xz + hz).sigmoid()
            hidden = (1 - update) * (xn + (xr + hr).sigmoid() * hn).tanh() + update * hidden
        else:
            hidden = (given + recurrent).tanh() if module.cell == "tanh" else (given + recurrent).relu()
        outputs[step] = hidden
    return torch.stack(outputs), hidden, hidden.new_empty(0) if state is None else state


def difference(expected: Any, actual: Any) -> float:
    """Return the largest difference between two structures of tensors, as a share of the largest of each tensor.

    Raises:
        ValueError: they hold other tensors.
    """
    ours, theirs = (
        [leaf for leaf in pytree.tree_leaves(one) if isinstance(leaf, Tensor)] for one in (actual, expected)
    )
    if [leaf.shape for leaf in ours] != [leaf.shape for leaf in theirs]:
        message = f"shapes {[tuple(leaf.shape) for leaf in ours]} instead of {[tuple(leaf.shape) for leaf in theirs]}"
        raise ValueError(message)
    return max((_gap(one, other) for one, other in zip(theirs, ours, strict=True) if one.numel()), default=0.0)


def _gap(expected: Tensor, actual: Tensor) -> float:
    expected, actual = expected.double(), actual.double()
    gap = torch.where(expected == actual, 0.0, (expected - actual).abs()).nan_to_num(nan=torch.inf, posinf=torch.inf)
    finite = expected[expected.isfinite()].abs()
    largest = float(finite.max()) if finite.numel() else 0.0
    return float(gap.max()) / largest if largest else float(gap.max())


def agreement(
    model: nn.Module, converted: ConvertedModel, args: tuple[Any, ...], kwargs: Mapping[str, Any] | None = None
) -> Agreement:
    """Run a converted model beside the reference.

    Args:
        model: what was converted, in eval mode.
        converted: for a spec without noise and without a converter; its hooks and its fidelity are as before when this
            returns.
        args: positional arguments of one forward pass; not changed.
        kwargs: keyword arguments, likewise.
    """
    given = args, dict(kwargs or {})
    with torch.no_grad():
        with _reference_at_sites(converted) as found:
            expected = _run(converted, given)
        is_whole = "" in converted.graph_modules
        outputs = difference(expected, _run(converted, given)) if is_whole else None
        worst_site = max(found, key=found.__getitem__) if found else ""
        graphs = _graphs_in_float(model, converted, given)
    return Agreement(
        sites=found.get(worst_site, 0.0),
        worst_site=worst_site,
        graphs=graphs,
        outputs=outputs,
        calls=len(found),
    )


@contextmanager
def _reference_at_sites(converted: ConvertedModel) -> Iterator[dict[str, float]]:
    """Make every site return what the reference computes; yield a dict that gets how far the site itself was off."""
    found: dict[str, float] = {}

    def compare_with_reference(name: str) -> Callable[..., Any]:
        def hook(module: CimModule, operands: tuple[Any, ...], output: Any) -> Any:
            expected = reference(module, operands[:-1])
            found[name] = max(found.get(name, 0.0), difference(expected, output))
            return pytree.tree_map(lambda one, like: one.to(like.dtype), expected, output)

        return hook

    handles = [site.register_forward_hook(compare_with_reference(name)) for name, site in converted.sites().items()]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _graphs_in_float(model: nn.Module, converted: ConvertedModel, given: Arguments) -> float:
    """Return how far the lowered graphs in float are from the modules that they replace, on what those get here."""
    worst = [0.0]

    def compare_with_original(original: nn.Module) -> tuple[Callable[..., None], Callable[..., None]]:
        calls: list[Arguments] = []

        def before(_: GraphModule, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            calls.append(_copy((args, kwargs)))

        def after(_: GraphModule, __: Any, ___: Any, output: Any) -> None:
            args, kwargs = calls.pop()
            with eager_reference():
                worst.append(difference(original(*args, **kwargs), output))

        return before, after

    handles = []
    for name, graph in converted.graph_modules.items():
        before, after = compare_with_original(model.get_submodule(name))
        handles.append(graph.register_forward_pre_hook(before, with_kwargs=True))
        handles.append(graph.register_forward_hook(after, with_kwargs=True))
    converted.set_fidelity("float")
    try:
        _run(converted, given)
    finally:
        converted.set_fidelity("hardware")
        for handle in handles:
            handle.remove()
    return max(worst)


def _run(model: nn.Module, given: Arguments) -> Any:
    args, kwargs = _copy(given)  # a model may work in place
    return model(*args, **kwargs)


def _copy(given: Arguments) -> Arguments:
    copied: Arguments = pytree.tree_map(lambda leaf: leaf.clone() if isinstance(leaf, Tensor) else leaf, given)
    return copied
