"""ASiM's self-attention, to be dropped into a network."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from asim_fx.compat.arguments import AsimArguments, DigitalCycles, amount, checked, whole_number
from asim_fx.compat.attributes import check_assignment
from asim_fx.compat.linear import ASiMLinear
from asim_fx.compat.modes import check_mode, fake_quantized, next_draw, noise_fraction, operation_text, trimmed
from asim_fx.errors import InputError, UsageError
from asim_fx.ops import library as _library  # noqa: F401 (registers torch.ops.asim)
from asim_fx.ops.matmul import check_matmul

_SITE = "ASiMMultiheadAttention"
_QK, _AV = f"{_SITE}.qk", f"{_SITE}.av"
_SHARED = ("nrow", "hybrid_levels", "voting_levels", "num_samp", "mode", "device", "digital_cycles")
"""Attributes that both products and both projections have: assigned here, they reach the projections too."""


def _of_projections(name: str) -> Any:
    """Return a property that reads an attribute of the projections and assigns it to both."""

    def read(self: ASiMMultiheadAttention) -> Any:
        return getattr(self.proj, name)

    def assign(self: ASiMMultiheadAttention, value: Any) -> None:
        setattr(self.qkv, name, value)
        setattr(self.proj, name, value)

    return property(read, assign, doc=f"``{name}`` of both projections.")


class ASiMMultiheadAttention(nn.Module):
    """Self-attention with the arguments, the modes and the weights (``qkv``, ``proj``) of ASiM's.

    Q and V are stored in the macro; K and the scores, which are unsigned, are streamed. Every argument but
    ``embed_dim`` is an attribute that may be changed at any time and is checked when the module is called; those of the
    projections change ``qkv`` and ``proj``. The trim noises are fractions as attributes, as in ASiM's module.

    Args:
        embed_dim: length of a token.
        num_heads: heads; divides ``embed_dim``.
        dropout: share of the scores that is dropped in training.
        qk_qbit: bits of Q.
        qk_kbit: bits of K.
        av_abit: bits of the scores.
        av_vbit: bits of V.
        proj_wbit: bits of the weights of both projections.
        proj_xbit: bits of their input.
        qk_adc_prec: bits of the converter in QK^T.
        av_adc_prec: bits of the converter in AV.
        proj_adc_prec: bits of the converter in the projections.
        nrow: rows that add up on one column.
        qk_rand_noise_sigma: standard deviation of the random noise in QK^T, in % of full scale.
        av_rand_noise_sigma: the same in AV.
        proj_rand_noise_sigma: the same in the projections.
        qk_non_linear_sigma: standard deviation of the nonlinear noise in QK^T, in % of full scale at an empty column.
        av_non_linear_sigma: the same in AV.
        proj_non_linear_sigma: the same in the projections.
        qk_k_enc: bits of K that one read applies, without the sign; None: one (bit-serial).
        av_a_enc: bits of the scores that one read applies.
        proj_act_enc: bits of the projections' input that one read applies, without the sign.
        hybrid_levels: levels of most significant cycles that are digital; more than there are: all, as in ASiM.
        mode: ``Train``, ``Inference`` or ``Simulation``.
        attn_trim_noise: standard deviation of the noise of both products in Train and Inference, in % of each result.
        proj_trim_noise: the same of the projections.
        device: without effect: the module computes where its input is.
        scale: of QK^T before the softmax. None: ``embed_dim ** -0.5`` as in ASiM, which its weights are trained with;
            those of other libraries want ``(embed_dim / num_heads) ** -0.5``.
        digital_cycles: ``exact``, or ``adc`` as in the published simulator.
        voting_levels: levels of most significant cycles that are read several times, as in ASiM's extension.
        num_samp: how many times; the most common code counts.

    Raises:
        UsageError: an argument that has no meaning, two that exclude each other, or heads that do not divide
            ``embed_dim``; also when called.
    """

    proj_wbit = _of_projections("wbit")
    proj_xbit = _of_projections("xbit")
    proj_adc_prec = _of_projections("adc_prec")
    proj_rand_noise_sigma = _of_projections("rand_noise_sigma")
    proj_non_linear_sigma = _of_projections("non_linear_sigma")
    proj_act_enc = _of_projections("act_enc")
    proj_trim_noise = _of_projections("trim_noise")

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        qk_qbit: int = 8,
        qk_kbit: int = 8,
        av_abit: int = 8,
        av_vbit: int = 8,
        proj_wbit: int = 8,
        proj_xbit: int = 8,
        qk_adc_prec: int = 8,
        av_adc_prec: int = 8,
        proj_adc_prec: int = 8,
        nrow: int = 256,
        qk_rand_noise_sigma: float = 0.0,
        av_rand_noise_sigma: float = 0.0,
        proj_rand_noise_sigma: float = 0.0,
        qk_non_linear_sigma: float = 0.0,
        av_non_linear_sigma: float = 0.0,
        proj_non_linear_sigma: float = 0.0,
        qk_k_enc: int | None = None,
        av_a_enc: int | None = None,
        proj_act_enc: int | None = None,
        hybrid_levels: int | None = None,
        mode: str = "Train",
        attn_trim_noise: float = 0.0,
        proj_trim_noise: float = 0.0,
        device: torch.device | str = "cpu",
        *,
        scale: float | None = None,
        digital_cycles: DigitalCycles = "exact",
        voting_levels: int | None = None,
        num_samp: int | None = None,
    ) -> None:
        super().__init__()
        whole_number(embed_dim, f"{_SITE}: embed_dim", 1)
        self.num_heads, self.mode = num_heads, mode
        self.voting_levels, self.num_samp = voting_levels, num_samp
        self.scale = embed_dim**-0.5 if scale is None else scale
        self.qk_qbit, self.qk_kbit, self.av_abit, self.av_vbit = qk_qbit, qk_kbit, av_abit, av_vbit
        self.qk_adc_prec, self.av_adc_prec, self.nrow = qk_adc_prec, av_adc_prec, nrow
        self.qk_rand_noise_sigma, self.av_rand_noise_sigma = qk_rand_noise_sigma, av_rand_noise_sigma
        self.qk_non_linear_sigma, self.av_non_linear_sigma = qk_non_linear_sigma, av_non_linear_sigma
        self.qk_k_enc, self.av_a_enc, self.hybrid_levels = qk_k_enc, av_a_enc, hybrid_levels
        self.attn_trim_noise = noise_fraction(attn_trim_noise, f"{_SITE}: attn_trim_noise")
        self.device, self.digital_cycles = device, digital_cycles
        self.dropout_layer = nn.Dropout(_share(dropout))
        self.qkv, self.proj = (
            ASiMLinear(
                embed_dim,
                outputs,
                wbit=proj_wbit,
                xbit=proj_xbit,
                adc_prec=proj_adc_prec,
                nrow=nrow,
                rand_noise_sigma=proj_rand_noise_sigma,
                non_linear_sigma=proj_non_linear_sigma,
                act_enc=proj_act_enc,
                signed_act=True,
                layer="proj",
                hybrid_levels=hybrid_levels,
                mode=mode,
                trim_noise=proj_trim_noise,
                device=device,
                digital_cycles=digital_cycles,
                voting_levels=voting_levels,
                num_samp=num_samp,
            )
            for outputs in (3 * embed_dim, embed_dim)
        )
        self._check()

    def __setattr__(self, name: str, value: Any) -> None:
        check_assignment(self, name, value)
        super().__setattr__(name, value)
        if name in _SHARED and "proj" in self._modules:
            setattr(self.qkv, name, value)
            setattr(self.proj, name, value)

    @property
    def dropout(self) -> float:
        """Share of the scores that is dropped in training."""
        return self.dropout_layer.p

    @dropout.setter
    def dropout(self, value: float) -> None:
        self.dropout_layer.p = _share(value)

    def forward(self, x: Tensor) -> Tensor:
        """Return the attention of ``x`` (batch, tokens, embed_dim) to itself, of the same shape.

        Raises:
            InputError: the shape does not fit.
            NumericsError: NaN or infinity in an operand.
            UsageError: an argument was changed to one that has no meaning.
        """
        self._check()
        if x.dim() != 3 or x.shape[2] != self.qkv.in_features:
            message = f"{_SITE} got an input of shape {tuple(x.shape)}"
            raise InputError(message, hint=f"it takes (batch, tokens, {self.qkv.in_features})")
        batch, tokens, width = x.shape
        heads = self.qkv(x).reshape(batch, tokens, 3, self.num_heads, width // self.num_heads)
        q, k, v = heads.permute(2, 0, 3, 1, 4).unbind()
        scores = (self.multiply_qk(q, k.transpose(-2, -1)) * self.scale).softmax(dim=-1)
        mixed = self.multiply_av(self.dropout_layer(scores), v)
        y: Tensor = self.proj(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return y

    def multiply_qk(self, q: Tensor, k: Tensor) -> Tensor:
        """Return ``q @ k`` for Q (batch, heads, tokens, d) and K^T (batch, heads, d, tokens), before any scale."""
        return self._multiply(q, k, self._qk_arguments(), _QK, stored_first=True)

    def multiply_av(self, scores: Tensor, v: Tensor) -> Tensor:
        """Return ``scores @ v`` for scores (batch, heads, tokens, tokens) and V (batch, heads, tokens, d)."""
        return self._multiply(scores, v, self._av_arguments(), _AV, stored_first=False)

    def _check(self) -> None:
        check_mode(self.mode)
        heads = whole_number(self.num_heads, f"{_SITE}: num_heads", 1)
        if self.qkv.in_features % heads:
            message = f"{_SITE}: embed_dim {self.qkv.in_features} is not a multiple of num_heads {heads}"
            raise UsageError(message)
        amount(self.scale, f"{_SITE}: scale")
        self._qk_arguments()
        self._av_arguments()

    def _qk_arguments(self) -> AsimArguments:
        arguments = AsimArguments(
            wbit=self.qk_qbit,
            xbit=self.qk_kbit,
            adc_prec=self.qk_adc_prec,
            act_enc=1 if self.qk_k_enc is None else self.qk_k_enc,
            rand_noise_sigma=self.qk_rand_noise_sigma,
            non_linear_sigma=self.qk_non_linear_sigma,
            **self._shared_arguments(),
        )
        return checked(arguments, signed=True, digital_cycles=self.digital_cycles, where=_SITE, op="qk")

    def _av_arguments(self) -> AsimArguments:
        arguments = AsimArguments(
            wbit=self.av_vbit,
            xbit=self.av_abit,
            adc_prec=self.av_adc_prec,
            act_enc=1 if self.av_a_enc is None else self.av_a_enc,
            rand_noise_sigma=self.av_rand_noise_sigma,
            non_linear_sigma=self.av_non_linear_sigma,
            **self._shared_arguments(),
        )
        return checked(arguments, signed=False, digital_cycles=self.digital_cycles, where=_SITE, op="av")

    def _shared_arguments(self) -> dict[str, Any]:
        return {
            "nrow": self.nrow,
            "hybrid_levels": 0 if self.hybrid_levels is None else self.hybrid_levels,
            "voting_levels": 0 if self.voting_levels is None else self.voting_levels,
            "num_samp": 1 if self.num_samp is None else self.num_samp,
        }

    def _multiply(
        self, first: Tensor, second: Tensor, arguments: AsimArguments, site: str, *, stored_first: bool
    ) -> Tensor:
        mode = check_mode(self.mode)
        trim_noise = amount(self.attn_trim_noise, f"{_SITE}: attn_trim_noise")
        check_matmul(first.shape, second.shape)
        signed = stored_first  # K is streamed then, and scores never have a sign
        if mode == "Train":
            bits = (arguments.wbit, arguments.xbit) if stored_first else (arguments.xbit, arguments.wbit)
            left = fake_quantized(first, bits[0], signed=signed, site=site, role="weight" if stored_first else "input")
            right = fake_quantized(second, bits[1], signed=True, site=site, role="input" if stored_first else "weight")
            return trimmed(left @ right, trim_noise)
        text = operation_text(
            arguments,
            site=site,
            signed=signed,
            exact=mode == "Inference",
            taps=1,
            digital_cycles=self.digital_cycles,
        )
        y: Tensor = torch.ops.asim.matmul(first, second, next_draw(), None, text, stored_first)
        return trimmed(y, trim_noise) if mode == "Inference" else y


def _share(dropout: Any) -> float:
    share = amount(dropout, f"{_SITE}: dropout")
    if share > 1:
        message = f"{_SITE}: dropout is {share}, and must be from 0 to 1"
        raise UsageError(message)
    return share
