"""From a module that was made elsewhere to a base classifier that is ready to be asked."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from radii.errors import BaseClassifierError
from radii.models.loaded import Base
from radii.models.probe import check_answers
from radii.models.weights import weights_sha256


def base_of(
    module: nn.Module,
    reference: str,
    input_shape: tuple[int, ...],
    num_classes: int,
    class_names: Sequence[str] | None = None,
    details: dict[str, object] | None = None,
) -> Base:
    """The base classifier, in evaluation mode, after it was asked for a few rows.

    With convolutions it comes in channels-last layout, in which it runs faster on a CPU.

    Raises:
        BaseClassifierError: If its answers are not those of a classifier of such inputs.
    """
    module.eval()
    if any(isinstance(layer, nn.Conv2d) for layer in module.modules()):
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    check_answers(module, input_shape, num_classes)
    return Base(
        module=module,
        reference=reference,
        sha256=weights_sha256(module),
        num_classes=num_classes,
        input_shape=input_shape,
        class_names=None if class_names is None else tuple(class_names),
        details=details or {},
    )


def shape_of(text: str) -> tuple[int, ...]:
    """The shape that a text like `3x32x32` says.

    Raises:
        ValueError: If it says none.
    """
    sizes = text.split("x")
    if not all(size.isdecimal() and int(size) > 0 for size in sizes):
        raise ValueError(f"input_shape must be sizes with an x between, as 3x32x32, got {text!r}")
    return tuple(map(int, sizes))


def text_of(shape: Sequence[int]) -> str:
    """`3x32x32` for `(3, 32, 32)`."""
    return "x".join(map(str, shape))


def check_classes(wanted: int | None, found: int, what: str) -> None:
    """Refuses another number of classes than the user said.

    Raises:
        BaseClassifierError: If they differ.
    """
    if wanted is not None and wanted != found:
        raise BaseClassifierError(
            f"num_classes must be {found}, the number of classes of {what}, got {wanted}; "
            f"leave it out."
        )
