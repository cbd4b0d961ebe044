"""The two networks of EnCodec, layer by layer: SEANet (Tagliasacchi et al. 2020; Défossez et al. 2022, section 3.1).

Both have the same build, `front → LSTM → back`, in which only the LSTM remembers more than a few frames. The decoder's
front is one convolution over frames and its back upsamples; the encoder's front downsamples and its back is one
convolution. Back ends (`onnx`, `torch`) turn the layers listed here into operations, `stream` runs them in pieces.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from math import ceil
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dgx_music.engines.musicgen.architecture import CodecArchitecture

__all__ = ["Conv", "Elu", "Layer", "Lstm", "Residual", "Seanet", "Upsample", "decoder", "encoder"]


@dataclass(frozen=True)
class Conv:
    """A convolution with its padding: an input of n becomes an output of ceil(n / stride)."""

    name: str
    """Where its `.weight` (out, in, kernel) and `.bias` (out,) are."""
    kernel: int
    stride: int
    dilation: int
    causal: bool

    @property
    def reach(self) -> int:
        """How many inputs one output spans."""
        return (self.kernel - 1) * self.dilation + 1

    @property
    def pad_left(self) -> int:
        """Padding before the first input; the larger half where the whole is odd."""
        total = self.reach - self.stride
        return total if self.causal else total - total // 2

    @property
    def pad_right(self) -> int:
        """Padding after the last input, to which an input that the stride does not divide adds what is missing."""
        return self.reach - self.stride - self.pad_left


@dataclass(frozen=True)
class Upsample:
    """A transposed convolution, trimmed so that an input of n becomes an output of n · stride."""

    name: str
    """Where its `.weight` (in, out, kernel) and `.bias` (out,) are."""
    kernel: int
    stride: int
    causal: bool

    @property
    def trim_right(self) -> int:
        """Outputs dropped at the end."""
        total = self.kernel - self.stride
        return total if self.causal else total // 2

    @property
    def trim_left(self) -> int:
        """Outputs dropped at the beginning."""
        return self.kernel - self.stride - self.trim_right


@dataclass(frozen=True)
class Elu:
    """x, or exp(x) − 1 below 0."""


@dataclass(frozen=True)
class Residual:
    """ELU and convolution, twice, added to the input (`skip` is `None`) or to a 1 × 1 convolution of it."""

    first: Conv
    second: Conv
    skip: Conv | None


Layer: TypeAlias = Conv | Upsample | Elu | Residual


@dataclass(frozen=True)
class Lstm:
    """Layers of LSTM whose output is added to their input."""

    name: str
    """Where `.weight_ih_l0` and so on are."""
    layers: int


@dataclass(frozen=True)
class Seanet:
    """A network that turns units of `hop_in` inputs into units of `hop_out` outputs; a unit is a frame of codes."""

    front: tuple[Layer, ...]
    lstm: Lstm | None
    back: tuple[Layer, ...]
    width: int
    """Channels between front and back."""
    hop_in: int
    hop_out: int
    pad_mode: str
    """`constant` (zeros) or `reflect`, at the two ends of the piece."""

    @property
    def front_margin(self) -> tuple[int, int]:
        """Frames of input before and after a frame on which the front's output for it depends."""
        return self._margin(self.front, self.hop_in, 1)

    @property
    def back_margin(self) -> tuple[int, int]:
        """Frames of LSTM output before and after a frame on which the back's output for it depends."""
        return self._margin(self.back, 1, self.hop_out)

    def _margin(self, layers: tuple[Layer, ...], hop_in: int, hop_out: int) -> tuple[int, int]:
        first, last = _inputs_of(layers, 0, hop_out - 1)
        left, right = ceil(-first / hop_in), ceil((last - hop_in + 1) / hop_in)
        if self.pad_mode == "reflect":  # at an end, what lies on one side is read for the other too
            left = right = max(left, right)
        return max(left, 0), max(right, 0)


def _inputs_of(layers: tuple[Layer, ...], first: int, last: int) -> tuple[int, int]:
    """Return the first and last input on which the outputs from `first` to `last` depend."""
    for layer in reversed(layers):
        match layer:
            case Conv():
                first = first * layer.stride - layer.pad_left
                last = last * layer.stride - layer.pad_left + layer.reach - 1
            case Residual():
                first, last = _inputs_of((layer.first, layer.second), first, last)
            case Upsample():
                first = -((layer.kernel - 1 - layer.trim_left - first) // layer.stride)
                last = (last + layer.trim_left) // layer.stride
    return first, last


def decoder(arch: CodecArchitecture) -> Seanet:
    """Return the network from latent frames (dimension) to audio."""
    width = arch.n_filters * 2 ** len(arch.ratios)
    names = _names("decoder")
    front = (_conv(arch, next(names), arch.kernel_size),)
    lstm = Lstm(f"{next(names)}.lstm", arch.lstm_layers) if arch.lstm_layers else None
    back: list[Layer] = []
    for ratio in arch.ratios:
        back.append(_elu(names))
        back.append(Upsample(f"{next(names)}.convtr", 2 * ratio, ratio, arch.causal))
        back.extend(_residuals(arch, names))
    back += [_elu(names), _conv(arch, next(names), arch.last_kernel_size)]
    return Seanet(front, lstm, tuple(back), width, 1, arch.hop_samples, arch.pad_mode)


def encoder(arch: CodecArchitecture) -> Seanet:
    """Return the network from audio to latent frames (dimension)."""
    width = arch.n_filters * 2 ** len(arch.ratios)
    names = _names("encoder")
    front: list[Layer] = [_conv(arch, next(names), arch.kernel_size)]
    for ratio in reversed(arch.ratios):
        front.extend(_residuals(arch, names))
        front.append(_elu(names))
        front.append(_conv(arch, next(names), 2 * ratio, stride=ratio))
    lstm = Lstm(f"{next(names)}.lstm", arch.lstm_layers) if arch.lstm_layers else None
    back = (_elu(names), _conv(arch, next(names), arch.last_kernel_size))
    return Seanet(tuple(front), lstm, back, width, arch.hop_samples, 1, arch.pad_mode)


def _names(network: str) -> Iterator[str]:
    return (f"{network}.model.{number}" for number in count())


def _conv(arch: CodecArchitecture, name: str, kernel: int, *, stride: int = 1, dilation: int = 1) -> Conv:
    return Conv(f"{name}.conv", kernel, stride, dilation, arch.causal)


def _elu(names: Iterator[str]) -> Elu:
    next(names)  # it has a number and no weights
    return Elu()


def _residuals(arch: CodecArchitecture, names: Iterator[str]) -> Iterator[Residual]:
    for depth in range(arch.n_residual_layers):
        name = next(names)
        yield Residual(
            _conv(arch, f"{name}.block.1", arch.residual_kernel_size, dilation=arch.dilation_base**depth),
            _conv(arch, f"{name}.block.3", 1),
            None if arch.true_skip else _conv(arch, f"{name}.shortcut", 1),
        )
