"""The words of the compiler as values: sites, bit plans, tile grids and the plan of one site.

Everything here is frozen and free of tensors. Annotations live in ``fx.Node.meta`` under one private key, which only
``annotate`` writes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch.fx import Graph, Node

    from asim_fx.spec.schema import SiteSettings

VoteRule = Literal["mode", "median", "mean"]

DIGITAL = 0
"""A cell of a BitPlan that is computed exactly, in digital logic."""
ANALOG = 1
"""A cell of a BitPlan that is read once; n > 1 stands for VOTED(n)."""


class OpKind(StrEnum):
    """What a site is, and what a rule's ``op`` selects."""

    CONV = "conv"
    LINEAR = "linear"
    QK = "qk"
    AV = "av"
    MATMUL = "matmul"


class Target(StrEnum):
    """Where a site is computed."""

    ANALOG = "analog"
    INTEGER = "integer"
    FLOAT = "float"


@dataclass(frozen=True, slots=True)
class BatchLayout:
    """Where the samples of a batch lie in a tensor, as its row-major flat index sees them.

    The flat index ``f`` belongs to sample ``(f // stride) % batch``. Known for a node when the symbolic batch dimension
    was followed through every reshape and permutation up to it.

    Attributes:
        stride: elements from one sample to the next.
        elements: elements that one sample owns; batch = numel / elements.
    """

    stride: int
    elements: int


@dataclass(frozen=True, slots=True)
class ConvGeometry:
    """Shape parameters of a convolution, one entry for each spatial dimension.

    Attributes:
        kernel: taps along each dimension.
        stride: step of the window.
        padding: zeros (before, after) along each dimension.
        dilation: distance between taps.
        output_padding: of a transposed convolution: outputs added at the end; None for an ordinary one.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    output_padding: tuple[int, ...] | None = None

    @property
    def transposed(self) -> bool:
        """Whether this is a transposed convolution: ``padding`` cuts its result and ``stride`` spreads it."""
        return self.output_padding is not None

    @property
    def taps(self) -> int:
        """Number of taps of one channel of the kernel."""
        return math.prod(self.kernel)


@dataclass(frozen=True, slots=True)
class OpSite:
    """One call that is a matrix-vector multiply.

    The *streamed* operand is the spec's ``input``, the *stored* one its ``weight``: weights are stored; in QK^T, K is
    streamed and Q stored; in AV the scores are streamed and V is stored. All counts are per image.

    Attributes:
        name: qualified name of the weight's owner, or the owner module plus a role (``blocks.3.attn.qk``).
        call: which call of this name in graph order; 0 unless a module is called several times.
        kind: what a rule's ``op`` matches.
        op: the torch operation as captured, for the report (``aten.conv2d.default``).
        module: qualified name of the module that makes the call.
        k: length of the reduction, of one group.
        n: outputs of one group that are stored side by side.
        groups: independent matrices (groups of a conv; heads and windows of a matmul, for one image).
        vectors: streamed vectors for each group, for one image; of a transposed convolution the positions of its input.
        macs: multiply-accumulates for one image, padding included.
        input_shape: shape of the streamed operand, ``None`` where the batch is.
        weight_shape: shape of the stored operand, ``None`` where the batch is.
        output_shape: shape of the result, ``None`` where the batch is.
        geometry: of a convolution.
        static_weight: whether the stored operand is a parameter or constant rather than an activation.
        input_nonnegative: why the streamed operand is proven non-negative, or the empty string.
        weight_nonnegative: why the stored operand is proven non-negative, or the empty string.
        layout: where the samples lie in the result, or None where they could not be followed.
        input_layout: the same of the streamed operand.
        weight_layout: the same of a stored operand that is an activation.
        aliases: selectors such as ``@first_conv`` that name this site.
        unsupported: why this form cannot be lowered, or the empty string.
        example_macs: multiply-accumulates of the whole batch that the model was captured with: ``macs`` times its size,
            or ``macs`` alone where no operand depends on an image.
        input_clip: name of the learned bound of the streamed operand, which is then its scale, or the empty string.
    """

    name: str
    kind: OpKind
    op: str
    k: int
    n: int
    groups: int
    vectors: int
    macs: int
    input_shape: tuple[int | None, ...]
    weight_shape: tuple[int | None, ...]
    output_shape: tuple[int | None, ...]
    call: int = 0
    module: str = ""
    geometry: ConvGeometry | None = None
    static_weight: bool = True
    input_nonnegative: str = ""
    weight_nonnegative: str = ""
    layout: BatchLayout | None = None
    input_layout: BatchLayout | None = None
    weight_layout: BatchLayout | None = None
    aliases: frozenset[str] = frozenset()
    unsupported: str = ""
    example_macs: int = 0
    input_clip: str = ""

    @property
    def label(self) -> str:
        """The name, with the call where there are several (``head.conv@1``)."""
        return f"{self.name}@{self.call}" if self.call else self.name

    @property
    def depthwise(self) -> bool:
        """Whether this is a convolution with one input channel for each group."""
        return (
            self.kind is OpKind.CONV and self.groups > 1 and self.geometry is not None and self.k == self.geometry.taps
        )


def input_plane_widths(bits: int, *, signed: bool, encoding: int) -> tuple[int, ...]:
    """Return the widths in bits of the streamed planes, from the LSB up.

    Magnitude bits are grouped ``encoding`` at a time; the top group is narrower where that does not divide them; a sign
    bit is a plane of its own (ASiM, section on bit-parallel input encoding).

    Args:
        bits: bits of the operand, sign included.
        signed: whether the top bit is a sign.
        encoding: bits that one read applies at once.
    """
    magnitude = bits - 1 if signed else bits
    full, rest = divmod(magnitude, encoding)
    widths = (encoding,) * full + ((rest,) if rest else ())
    return widths + ((1,) if signed else ())


@dataclass(frozen=True, slots=True)
class BitPlan:
    """How often each cycle of an operation is read: a table of stored plane x streamed plane.

    ``reads[i][j]`` belongs to stored plane ``i`` and streamed plane ``j``, both counted from the LSB: 0 is DIGITAL
    (exact, never digitised), 1 is ANALOG, n > 1 is VOTED(n).

    Attributes:
        reads: the table.
        input_widths: bits of each streamed plane, from the LSB up.
        vote: how the codes of a voted cell become one.
        rows_per_digit: neighbouring rows of the same place value: 2 for a positive and a negative column.
    """

    reads: tuple[tuple[int, ...], ...]
    input_widths: tuple[int, ...]
    vote: VoteRule = "mode"
    rows_per_digit: int = 1

    @classmethod
    def analog(cls, weight_planes: int, input_widths: tuple[int, ...], *, rows_per_digit: int = 1) -> BitPlan:
        """Return the plan that reads every cell once."""
        reads = ((ANALOG,) * len(input_widths),) * weight_planes
        return cls(reads, input_widths, rows_per_digit=rows_per_digit)

    @property
    def weight_planes(self) -> int:
        """Number of stored planes, C_w; of differential columns that are converted apart, both count."""
        return len(self.reads)

    @property
    def input_planes(self) -> int:
        """Number of streamed planes after grouping, C_x."""
        return len(self.input_widths)

    def level(self, i: int, j: int) -> int:
        """Return the level of a cell: 0 where both planes are the MSB, growing towards the LSBs."""
        return (self.weight_planes - 1 - i) // self.rows_per_digit + (self.input_planes - 1 - j)

    def with_digital(self, levels: int) -> BitPlan:
        """Return a plan whose cells below ``levels`` are DIGITAL."""
        return replace(self, reads=self._map(lambda level, reads: DIGITAL if level < levels else reads))

    def with_votes(self, levels: int, samples: int, how: VoteRule) -> BitPlan:
        """Return a plan whose ANALOG cells below ``levels`` are VOTED(samples). DIGITAL cells stay digital."""
        reads = self._map(lambda level, reads: samples if reads == ANALOG and level < levels else reads)
        return replace(self, reads=reads, vote=how)

    def _map(self, change: Any) -> tuple[tuple[int, ...], ...]:
        return tuple(
            tuple(change(self.level(i, j), reads) for j, reads in enumerate(row)) for i, row in enumerate(self.reads)
        )

    def cells(self) -> Iterator[tuple[int, int, int]]:
        """Yield (i, j, reads) for every cell."""
        for i, row in enumerate(self.reads):
            for j, reads in enumerate(row):
                yield i, j, reads

    @property
    def total_reads(self) -> int:
        """ADC conversions of one output and one row tile."""
        return sum(map(sum, self.reads))

    @property
    def digital_cells(self) -> int:
        """Cells that are never read."""
        return sum(reads == DIGITAL for _, _, reads in self.cells())

    @property
    def analog_cells(self) -> int:
        """Cells that are read once."""
        return sum(reads == ANALOG for _, _, reads in self.cells())

    @property
    def voted_cells(self) -> int:
        """Cells that are read several times."""
        return sum(reads > ANALOG for _, _, reads in self.cells())

    @property
    def max_reads(self) -> int:
        """Most reads of any cell; at least 1."""
        return max(1, *(reads for _, _, reads in self.cells()))


def row_step(taps: int, rows: int) -> int:
    """Return how many elements of a reduction one row tile covers: whole channels, unless one exceeds the rows.

    Args:
        taps: of one channel of a convolution; 1 for any other operation.
        rows: row parallelism of the array.
    """
    return rows if taps > rows else rows // taps * taps


@dataclass(frozen=True, slots=True)
class TileGrid:
    """How a K x N matrix lies on arrays of ``rows`` x ``columns``, one group at a time.

    Attributes:
        rows: row parallelism of the array: the full scale of a read.
        columns: physical columns of the array.
        step: elements of the reduction that one row tile covers (a whole number of channels for a conv).
        row_tiles: reads that one output of one cell needs; of a transposed convolution the tiles of all its phases.
        column_tiles: arrays side by side; an output takes as many physical columns as its encoding has cells.
        utilisation: share of the cells of all arrays that hold part of a weight, 0..1.
        patch_split: whether a conv's patch is longer than the rows and was cut anywhere.
        row_reads: reads of one cell for all outputs of one channel and image, where that is not vectors x row tiles:
            in a transposed convolution each output is read in the tiles of its own phase.
    """

    rows: int
    columns: int
    step: int
    row_tiles: int
    column_tiles: int
    utilisation: float
    patch_split: bool = False
    row_reads: int | None = None


@dataclass(frozen=True, slots=True)
class SitePlan:
    """The resolved decision for one site.

    Attributes:
        site: what is decided about.
        target: where it is computed.
        settings: every field of the spec, resolved for this site.
        provenance: dotted field -> where its value came from (``rules[2], chip.yaml:14``).
        decided_by: where the target came from.
        why: the deciding rule's own words, or the empty string.
        reason: why the site is not analog, or the empty string.
        signed: whether the streamed operand is signed.
        signed_because: why.
        weight_signed: the same of the stored operand.
        tiles: of an analog site.
        bits: of an analog or integer site.
        notes: what the report must say about this site (``patch split``, ``batch-dependent``).
    """

    site: OpSite
    target: Target
    settings: SiteSettings
    provenance: Mapping[str, str] = field(default_factory=dict)
    decided_by: str = ""
    why: str = ""
    reason: str = ""
    signed: bool = True
    signed_because: str = ""
    weight_signed: bool = True
    tiles: TileGrid | None = None
    bits: BitPlan | None = None
    notes: tuple[str, ...] = ()

    @property
    def tiled_outputs(self) -> int:
        """Outputs x row tiles for one image: how often the bit plan is worked through; 0 where not analog."""
        if self.target is not Target.ANALOG or self.tiles is None:
            return 0
        row_reads = self.tiles.row_reads
        if row_reads is None:
            row_reads = self.site.vectors * self.tiles.row_tiles
        return self.site.n * self.site.groups * row_reads

    @property
    def reads(self) -> int:
        """ADC conversions for one image: vectors x outputs x row tiles x reads of the bit plan."""
        return 0 if self.bits is None else self.tiled_outputs * self.bits.total_reads


@dataclass(frozen=True, slots=True)
class Annotation:
    """What the passes know about one node.

    Attributes:
        role: ``qk`` or ``av`` where the node is that matmul of an attention.
        nonnegative: why the value is proven non-negative, or the empty string.
        layout: where the samples of the batch lie in the value.
        site: set where the node is a matrix-vector multiply.
        plan: set once rules were resolved.
    """

    role: Literal["qk", "av"] | None = None
    nonnegative: str = ""
    layout: BatchLayout | None = None
    site: OpSite | None = None
    plan: SitePlan | None = None


_META_KEY = "asim"
_NOTHING = Annotation()


def annotation_of(node: Node) -> Annotation:
    """Return what is known about a node; empty for a node never annotated."""
    found: Annotation = node.meta.get(_META_KEY, _NOTHING)
    return found


def annotate(node: Node, **changes: Any) -> None:
    """Change fields of a node's annotation. The only writer of the private meta key."""
    node.meta[_META_KEY] = replace(annotation_of(node), **changes)


def iter_sites(graph: Graph) -> Iterator[tuple[Node, OpSite]]:
    """Yield every node that is a site, in graph order."""
    for node in graph.nodes:
        site = annotation_of(node).site
        if site is not None:
            yield node, site


def iter_plans(graph: Graph) -> Iterator[tuple[Node, SitePlan]]:
    """Yield every node that has a plan, in graph order."""
    for node in graph.nodes:
        plan = annotation_of(node).plan
        if plan is not None:
            yield node, plan
