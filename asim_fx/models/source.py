"""Where a model came from: enough to build the same architecture again, without its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

SourceKind = Literal["timm", "torchvision", "asim", "python", "exported"]


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model by name.

    Attributes:
        kind: who builds it. ``python`` is a factory that the user named; an artifact never names it again.
            ``exported`` is a ``.pt2`` file, of which an artifact holds a copy.
        name: as a user would give it to a command (``resnet50``, ``torchvision:vit_b_32``, ``asim:digits_vit``).
        input_size: channels, height, width; None where the model is not for images.
        num_classes: given by the user, or None.
        model_kwargs: given by the user.
        data_config: how images are prepared, with the keys of ``timm.data.resolve_data_config``.
        aliases: ``@first_conv`` and ``@classifier`` -> qualified names, as the model's own configuration has them.
        sha256: of the file, for ``exported``.
        bounded: rectifiers that got a bound because the checkpoint has one for them; see ``place_bounds``.
    """

    kind: SourceKind
    name: str
    input_size: tuple[int, int, int] | None = None
    num_classes: int | None = None
    model_kwargs: Mapping[str, Any] = field(default_factory=dict)
    data_config: Mapping[str, Any] = field(default_factory=dict)
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sha256: str = ""
    bounded: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain data that ``from_json`` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ModelSource:
        """Return what ``to_json`` wrote.

        Raises:
            KeyError, TypeError: the data is something else.
        """
        size = data["input_size"]
        return cls(
            **{
                **data,
                "input_size": None if size is None else tuple(size),
                "aliases": {name: tuple(found) for name, found in data["aliases"].items()},
                "bounded": tuple(data.get("bounded", ())),
            }
        )
