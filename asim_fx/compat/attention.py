"""ASiM's self-attention, to be dropped into a network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from asim_fx.compat.arguments import AsimArguments, DigitalCycles
from asim_fx.compat.linear import ASiMLinear
from asim_fx.compat.modes import check_mode, fake_quantized, next_draw, operation_text, trimmed
from asim_fx.errors import UsageError
from asim_fx.ops import library as _library  # noqa: F401 (registers torch.ops.asim)

_QK, _AV = "ASiMMultiheadAttention.qk", "ASiMMultiheadAttention.av"


class ASiMMultiheadAttention(nn.Module):
    """Self-attention with the arguments, the modes and the weights (``qkv``, ``proj``) of ASiM's.

    Q and V are stored in the macro; K and the scores, which are unsigned, are streamed. Arguments stay attributes that
    may be changed at any time; the trim noises as fractions, like ASiM's.

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
        qk_k_enc: bits of K that one read applies; None: one (bit-serial).
        av_a_enc: bits of the scores that one read applies.
        proj_act_enc: bits of the projections' input that one read applies.
        hybrid_levels: levels of most significant cycles that are digital; more than there are: all, as in ASiM.
        mode: ``Train``, ``Inference`` or ``Simulation``.
        attn_trim_noise: standard deviation of the noise of both products in Train and Inference, in % of each result.
        proj_trim_noise: the same of the projections.
        device: without effect: the module computes where its input is.
        scale: of QK^T before the softmax. None: ``embed_dim ** -0.5`` as in ASiM, which its weights are trained with;
            those of other libraries want ``(embed_dim / num_heads) ** -0.5``.
        digital_cycles: ``exact``, or ``adc`` as in the published simulator.

    Raises:
        UsageError: an unknown mode, or heads that do not divide ``embed_dim``; when called: arguments that exclude
            each other.
    """

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
    ) -> None:
        super().__init__()
        if embed_dim % num_heads:
            message = f"embed_dim {embed_dim} is not a multiple of num_heads {num_heads}"
            raise UsageError(message)
        self.num_heads = num_heads
        self.scale = embed_dim**-0.5 if scale is None else scale
        self.qk_qbit, self.qk_kbit, self.av_abit, self.av_vbit = qk_qbit, qk_kbit, av_abit, av_vbit
        self.qk_adc_prec, self.av_adc_prec, self.nrow = qk_adc_prec, av_adc_prec, nrow
        self.qk_rand_noise_sigma, self.av_rand_noise_sigma = qk_rand_noise_sigma, av_rand_noise_sigma
        self.qk_non_linear_sigma, self.av_non_linear_sigma = qk_non_linear_sigma, av_non_linear_sigma
        self.qk_k_enc, self.av_a_enc, self.hybrid_levels = qk_k_enc, av_a_enc, hybrid_levels
        self.attn_trim_noise, self.device, self.digital_cycles = attn_trim_noise / 100, device, digital_cycles
        self.dropout_layer = nn.Dropout(dropout)
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
            )
            for outputs in (3 * embed_dim, embed_dim)
        )

    @property
    def mode(self) -> str:
        """``Train``, ``Inference`` or ``Simulation``, of the projections too."""
        return self.qkv.mode

    @mode.setter
    def mode(self, value: str) -> None:
        self.qkv.mode = self.proj.mode = check_mode(value)

    def forward(self, x: Tensor) -> Tensor:
        """Return the attention of ``x`` (batch, tokens, embed_dim) to itself, of the same shape.

        Raises:
            NumericsError: NaN or infinity in an operand.
        """
        batch, tokens, width = x.shape
        heads = self.qkv(x).reshape(batch, tokens, 3, self.num_heads, width // self.num_heads)
        q, k, v = heads.permute(2, 0, 3, 1, 4).unbind()
        scores = (self.multiply_qk(q, k.transpose(-2, -1)) * self.scale).softmax(dim=-1)
        mixed = self.multiply_av(self.dropout_layer(scores), v)
        y: Tensor = self.proj(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return y

    def multiply_qk(self, q: Tensor, k: Tensor) -> Tensor:
        """Return ``q @ k`` for Q (batch, heads, tokens, d) and K^T (batch, heads, d, tokens), before any scale."""
        arguments = AsimArguments(
            wbit=self.qk_qbit,
            xbit=self.qk_kbit,
            nrow=self.nrow,
            adc_prec=self.qk_adc_prec,
            act_enc=self.qk_k_enc or 1,
            rand_noise_sigma=self.qk_rand_noise_sigma,
            non_linear_sigma=self.qk_non_linear_sigma,
            hybrid_levels=self.hybrid_levels or 0,
        )
        return self._multiply(q, k, arguments, _QK, stored_first=True)

    def multiply_av(self, scores: Tensor, v: Tensor) -> Tensor:
        """Return ``scores @ v`` for scores (batch, heads, tokens, tokens) and V (batch, heads, tokens, d)."""
        arguments = AsimArguments(
            wbit=self.av_vbit,
            xbit=self.av_abit,
            nrow=self.nrow,
            adc_prec=self.av_adc_prec,
            act_enc=self.av_a_enc or 1,
            rand_noise_sigma=self.av_rand_noise_sigma,
            non_linear_sigma=self.av_non_linear_sigma,
            hybrid_levels=self.hybrid_levels or 0,
        )
        return self._multiply(scores, v, arguments, _AV, stored_first=False)

    def _multiply(
        self, first: Tensor, second: Tensor, arguments: AsimArguments, site: str, *, stored_first: bool
    ) -> Tensor:
        mode = check_mode(self.mode)
        signed = stored_first  # K is streamed then, and scores never have a sign
        if mode == "Train":
            bits = (arguments.wbit, arguments.xbit) if stored_first else (arguments.xbit, arguments.wbit)
            left = fake_quantized(first, bits[0], signed=signed, site=site, role="weight" if stored_first else "input")
            right = fake_quantized(second, bits[1], signed=True, site=site, role="input" if stored_first else "weight")
            return trimmed(left @ right, self.attn_trim_noise)
        text = operation_text(
            arguments,
            site=site,
            signed=signed,
            exact=mode == "Inference",
            taps=1,
            digital_cycles=self.digital_cycles,
        )
        y: Tensor = torch.ops.asim.matmul(first, second, next_draw(), None, text, stored_first)
        return trimmed(y, self.attn_trim_noise) if mode == "Inference" else y
