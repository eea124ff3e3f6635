"""A denoiser before a classifier that stays as it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self, cast

from torch import Tensor, nn

from radii.errors import BaseClassifierError
from radii.models.base import ARCHITECTURES, Architecture, Normalized
from radii.models.checkpoint import read_base
from radii.models.denoiser import Denoiser
from radii.models.dncnn import DnCNN
from radii.models.lenet import LeNet
from radii.models.python import FromPython
from radii.models.unet import UNet
from radii.models.weights import load_strictly


class DenoisedClassifier(nn.Module):
    """A classifier that sees its inputs through a denoiser: `base(denoiser(x))`.

    It is a base classifier like any other: the noise is added before the denoiser, and what is
    certified holds for both together, however well the denoiser works. Gradients flow through both,
    so attacks run on it. The classifier is frozen: `train()` puts the denoiser alone into training
    mode. Neither part is changed here.

    Args:
        denoiser: From inputs `(rows, *shape)` with noise to inputs of the same shape and units.
        base: From inputs `(rows, *shape)` to scores or labels, in evaluation mode.

    Attributes:
        denoiser: As it was given.
        base: As it was given.

    Raises:
        TypeError: If a part is no module.
        BaseClassifierError: If the classifier is in training mode.

    Reference:
        Salman et al. 2020, "Denoised smoothing", arXiv:2003.01908.

    Example:
        >>> import torch
        >>> halved = nn.Hardtanh(0.0, 1.0)
        >>> base = nn.Linear(2, 3).eval()
        >>> denoised = DenoisedClassifier(halved, base).eval()
        >>> x = torch.tensor([[-0.5, 0.5], [2.0, 1.0]])
        >>> torch.equal(denoised(x), base(x.clamp(0, 1)))
        True
    """

    def __init__(self, denoiser: nn.Module, base: nn.Module) -> None:
        super().__init__()
        for name, part in (("denoiser", denoiser), ("base", base)):
            if not isinstance(part, nn.Module):
                raise TypeError(
                    f"{name} must be an nn.Module, got {type(part).__name__}; "
                    f"compose functions by a function, as `lambda x: base(denoiser(x))`"
                )
        if any(part.training for part in base.modules()):
            raise BaseClassifierError(
                "the classifier behind a denoiser must be in evaluation mode, got training mode; "
                "call its eval() first"
            )
        self.denoiser = denoiser
        self.base = base
        self.training = denoiser.training

    def train(self, mode: bool = True) -> Self:
        """Sets the mode of the denoiser; the classifier stays in evaluation mode."""
        super().train(mode)
        self.base.eval()
        return self

    def denoise(self, x: Tensor) -> Tensor:
        """What the classifier gets to see, `(rows, *shape)`.

        Raises:
            BaseClassifierError: If the denoiser answers something of another shape.
        """
        denoised = self.denoiser(x)
        if not isinstance(denoised, Tensor) or denoised.shape != x.shape:
            got = tuple(denoised.shape) if isinstance(denoised, Tensor) else type(denoised).__name__
            raise BaseClassifierError(
                f"a denoiser must keep the shape of its inputs, {tuple(x.shape)}, got {got}"
            )
        return denoised

    def forward(self, x: Tensor) -> Tensor:
        """Scores or labels of the classifier, of `(rows, *shape)`."""
        return cast(Tensor, self.base(self.denoise(x)))


@ARCHITECTURES.register("denoised")
@dataclass(frozen=True)
class Denoised(Architecture):
    """A denoiser before a network that training leaves as it is.

    The network's weights are buffers and no parameters: they are saved and hashed with the rest,
    and no optimiser, weight decay or gradient reaches them. It normalises its own inputs; the
    denoiser works in the units of the data.

    Attributes:
        denoiser: What is trained.
        base: The network behind it; none that Python code makes, and none with a denoiser.

    Reference:
        Salman et al. 2020, arXiv:2003.01908.
    """

    denoiser: Denoiser
    base: Architecture
    examples: ClassVar[tuple[dict[str, object], ...]] = (
        {"denoiser": DnCNN(depth=3, width=8), "base": LeNet()},
        {"denoiser": UNet(width=4, levels=2), "base": LeNet()},
    )
    example_input_shape: ClassVar[tuple[int, ...]] = (1, 28, 28)

    def __post_init__(self) -> None:
        if isinstance(self.base, FromPython | Denoised):
            raise ValueError(
                f"base of a denoised architecture must be a registered network without a denoiser, "
                f"got {ARCHITECTURES.spec_of(self.base)!r}; put a denoiser before another one with "
                f"radii.DenoisedClassifier, in Python"
            )

    def body(self, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
        """The layers `denoiser` and `base`; see `Architecture.body`."""
        channels = input_shape[0]
        zeros, ones = (0.0,) * channels, (1.0,) * channels
        denoiser = self.denoiser.build(input_shape)
        base = self.base.build(input_shape, num_classes, mean=zeros, std=ones)
        return DenoisedClassifier(denoiser, _without_parameters(base.eval()))


def _without_parameters(module: nn.Module) -> nn.Module:
    """The module, whose parameters have become buffers of the same names."""
    for part in module.modules():
        for name, parameter in list(part.named_parameters(recurse=False)):
            delattr(part, name)
            part.register_buffer(name, parameter.detach())
    return module


def parts_of(module: Normalized) -> DenoisedClassifier:
    """The denoiser and the network of what `Denoised` built.

    Raises:
        TypeError: If something else built it.
    """
    if not isinstance(module.body, DenoisedClassifier):
        raise TypeError(f"there is no denoiser in a {type(module.body).__name__}")
    return module.body


def put_behind(module: Normalized, base: Normalized) -> None:
    """Copies the weights and the normalisation of a classifier behind the denoiser.

    Args:
        module: What `Denoised` built.
        base: What its `base` built.

    Raises:
        BaseClassifierError: If the weights do not fit.
    """
    behind = cast(Normalized, parts_of(module).base)
    state = dict(base.state_dict())
    for name in ("normalize.mean", "normalize.std"):  # one number stands for all channels
        state[name] = state[name].expand_as(behind.state_dict()[name])
    load_strictly(behind, state)


def load_denoiser(directory: str | Path) -> nn.Module:
    """The denoiser alone of what `radii train --denoiser` wrote, in evaluation mode.

    It takes and gives inputs in the units of the data, so it can stand before another classifier
    of such inputs: `radii.DenoisedClassifier(load_denoiser(directory), other)`.

    Raises:
        BaseClassifierError: If the directory holds no denoised classifier.
    """
    module, description, _ = read_base(directory)
    plain = module.normalize.mean.eq(0).all() and module.normalize.std.eq(1).all()
    if not isinstance(module.body, DenoisedClassifier) or not plain:
        raise BaseClassifierError(
            f"{str(directory)!r} must hold a denoiser before a classifier, got "
            f"{description['architecture']!r}; give what `radii train --denoiser` wrote"
        )
    return module.body.denoiser
