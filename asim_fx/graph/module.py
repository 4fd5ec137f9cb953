"""A graph as a module that keeps which of its buffers are not part of the state dict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn
from torch.fx import Graph, GraphModule


class PlainGraphModule(GraphModule):
    """A GraphModule whose non-persistent buffers stay so, here and in its copies; those of torch 2.11 would not.

    It trains, evaluates and copies as any module does, which the module of an exported program refuses.
    """

    def __init__(self, root: nn.Module, graph: Graph, class_name: str = "GraphModule") -> None:
        super().__init__(root, graph, class_name)
        given = dict(root.named_modules())
        for name, module in self.named_modules():
            if name in given:
                module._non_persistent_buffers_set |= given[name]._non_persistent_buffers_set & module._buffers.keys()

    def _deepcopy_init(self) -> Callable[..., Any]:
        return PlainGraphModule.__init__
