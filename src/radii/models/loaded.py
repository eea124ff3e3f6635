"""A base classifier that was loaded, with what is known of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from radii.models.compiled import Compiled
from radii.models.precision import InPrecision


@dataclass(frozen=True)
class Base:
    """A base classifier that was loaded from a reference.

    Attributes:
        module: Inputs `(batch, *input_shape)` to scores `(batch, num_classes)` or labels
            `(batch,)`. If it is an `nn.Module` it is in evaluation mode.
        reference: What the user wrote.
        sha256: Of the weights; of the source file, for a function and for a module that has none.
        num_classes: How many classes it tells apart, where that is written down.
        input_shape: The shape of one input, where that is written down.
        class_names: The names of the classes, where they are written down.
        details: The content of `model.json`; empty for Python objects.
    """

    module: Callable[[Tensor], Tensor]
    reference: str
    sha256: str
    num_classes: int | None
    input_shape: tuple[int, ...] | None
    class_names: tuple[str, ...] | None
    details: dict[str, object]

    def prepared(
        self,
        device: torch.device,
        precision: Literal["float32", "bfloat16"],
        *,
        compiled: bool = False,
    ) -> Callable[[Tensor], Tensor]:
        """The base classifier on a device, in a precision; a function is left as it is.

        A module may say, as `computed_by`, that it does not compute in torch.

        Raises:
            ValueError: If bfloat16 or compilation is asked of what torch does not compute.
        """
        if not isinstance(self.module, nn.Module):
            if precision != "float32":
                raise ValueError(
                    f"precision must be float32 for {self.reference!r}, which is a function and "
                    f"not an nn.Module, got {precision!r}"
                )
            if compiled:
                raise ValueError(
                    f"{self.reference!r} is a function and not an nn.Module, and cannot be "
                    f"compiled; leave compilation off"
                )
            return self.module
        library = getattr(self.module, "computed_by", None)
        if library is not None and precision != "float32":
            raise ValueError(
                f"precision must be float32 for {self.reference!r}, which {library} computes in "
                f"the types of its file, got {precision!r}; convert the file instead"
            )
        if library is not None and compiled:
            raise ValueError(
                f"{self.reference!r} is computed by {library} and cannot be compiled by torch; "
                f"leave compilation off"
            )
        module = self.module.to(device)
        if precision != "float32":
            module = InPrecision(module).eval()
        return Compiled(module) if compiled else module
