"""Checkpoints of the published repositories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import nn

from radii.errors import BaseClassifierError
from radii.models.adapters._made import base_of, shape_of
from radii.models.adapters.base import ADAPTERS, Adapter
from radii.models.base import ARCHITECTURES, Architecture, initialise
from radii.models.loaded import Base
from radii.models.published import load_published, read_state
from radii.models.weights import check_size

# Name: mean and std of the published code, and the inputs and classes that it had.
_NORMALIZATIONS: dict[str, tuple[tuple[float, ...], tuple[float, ...], str, int]] = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010), "3x32x32", 10),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "3x224x224", 1000),
}
_CIFAR = "cifar_"  # the published code says cifar_resnet110


@ADAPTERS.register("published")
@dataclass(frozen=True)
class PublishedCheckpoint(Adapter):
    """A checkpoint of a published repository: a state dict of an architecture that is known here.

    The file is read without unpickling anything but tensors and plain containers. Prefixes of data
    parallelism and of `Sequential(normalisation, network)` are dropped, and everything else must
    fit. Most files do not hold their normalisation, so it has to be named.

    Attributes:
        path: A .pth.tar, .pth, .pt or .safetensors file.
        architecture: Spec of an architecture; the name `cifar_resnet110` of the published code
            means resnet110.
        normalize: `cifar10` and `imagenet` are the constants of Cohen et al., which Salman et al.
            and Jeong and Shin kept; `none` is right for MNIST, and for MACER on CIFAR-10.
        input_shape: As 3x32x32; by default that of the data set of the normalisation.
        num_classes: By default that of the data set of the normalisation.

    Reference:
        Cohen et al. 2019, arXiv:1902.02918, and the code published with it (`code/datasets.py`).
    """

    path: str
    architecture: str
    normalize: Literal["none", "cifar10", "imagenet"]
    input_shape: str | None = None
    num_classes: int | None = None
    positional: ClassVar[str] = "path"
    examples: ClassVar[tuple[dict[str, object], ...]] = (
        {"path": "checkpoint.pth.tar", "architecture": "resnet110", "normalize": "cifar10"},
    )

    def __post_init__(self) -> None:
        self._architecture()
        if self.input_shape is not None:
            shape_of(self.input_shape)
        if self.num_classes is not None and self.num_classes < 2:
            raise ValueError(f"num_classes must be at least 2, got {self.num_classes!r}")
        for name in ("input_shape", "num_classes"):
            if self.normalize == "none" and getattr(self, name) is None:
                raise ValueError(
                    f"{name} must be given with normalize=none, which names no data set; write "
                    f"input_shape=3x32x32,num_classes=10 for CIFAR-10"
                )

    def load(self) -> Base:
        """The network with the weights of the file, behind its normalisation.

        Raises:
            BaseClassifierError: If the file cannot be read, or does not fit the architecture, the
                normalisation, the shape or the number of classes.
        """
        mean, std, shape, classes = _NORMALIZATIONS.get(
            self.normalize, ((0.0,), (1.0,), self.input_shape or "", self.num_classes or 0)
        )
        input_shape = shape_of(self.input_shape or shape)
        num_classes = self.num_classes or classes
        state = read_state(self.path)
        architecture = self._architecture()
        try:
            if "python" not in ARCHITECTURES.spec_of(architecture):
                check_size(lambda: architecture.build(input_shape, num_classes), state)
            module: nn.Module = initialise(
                architecture, input_shape, num_classes, mean=mean, std=std, seed=0
            )
        except (TypeError, ValueError) as error:
            raise BaseClassifierError(f"{self.path!r} cannot be loaded: {error}") from error
        load_published(module, state)
        details: dict[str, object] = {
            "architecture": ARCHITECTURES.spec_of(self._architecture()),
            "mean": list(mean),
            "std": list(std),
        }
        return base_of(module, f"published:{self.path}", input_shape, num_classes, details=details)

    def _architecture(self) -> Architecture:
        return ARCHITECTURES.build(self.architecture.removeprefix(_CIFAR))
