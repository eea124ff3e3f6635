"""The smoothed classifier as a differentiable module for batches of any size."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from radii.smoothing import Estimator, SmoothedClassifier, SoftClassifier
from radii.smoothing.soft import suitable_chunk


class SmoothedModule(nn.Module):
    """Scores of the smoothed classifier, averaged over noise that all inputs share.

    Unlike `SmoothedClassifier.soft`, which is made for the inputs at hand, it takes batches of any
    size: each input meets the same draws of the noise. So equal inputs have equal answers, whatever
    else is in the batch, and an attack follows the gradient of one function. The gradient is that
    in the input; the base classifier is no part of the module, which has no parameters and leaves
    the mode of the base classifier alone.

    Args:
        smoothed: Its base classifier must be differentiable.
        delta: `(draws, *shape)`. The noise.
        estimator: What is averaged; see `SoftClassifier`.
    """

    delta: Tensor

    def __init__(
        self, smoothed: SmoothedClassifier, delta: Tensor, estimator: Estimator = "plug_in"
    ) -> None:
        super().__init__()
        self._smoothed = smoothed
        self._estimator: Estimator = estimator
        self.register_buffer("delta", delta, persistent=False)
        self.train(False)

    @property
    def num_classes(self) -> int:
        """How many classes it tells apart."""
        return self._smoothed.num_classes

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input."""
        return tuple(self.delta.shape[1:])

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, *shape)` to `(batch, num_classes)`: for "plug_in", logs of probabilities.

        Raises:
            ValueError: If the inputs have another shape.
            BaseClassifierError: If the base classifier cannot be differentiated.
        """
        if x.shape[1:] != self.delta.shape[1:]:
            raise ValueError(
                f"x must have shape (batch, {', '.join(map(str, self.input_shape))}), "
                f"got {tuple(x.shape)}"
            )
        if not len(x):
            return x.new_empty((0, self.num_classes))
        delta = self.delta.unsqueeze(1).expand(-1, len(x), *self.input_shape)
        soft = SoftClassifier(
            self._smoothed.base, delta, self._estimator, chunk=suitable_chunk(delta), frozen=True
        )
        scores: Tensor = soft(x)
        return scores


def to_torch(
    smoothed: SmoothedClassifier,
    *,
    draws: int = 64,
    generator: torch.Generator | None = None,
    estimator: Estimator = "plug_in",
    input_shape: tuple[int, ...] | None = None,
) -> SmoothedModule:
    """The smoothed classifier as an `nn.Module` that any library can attack.

    Args:
        smoothed: Its noise must be additive and its base classifier differentiable.
        draws: Of the noise. With fewer than 64 an attack is weak: it fits the draws.
        generator: Where the noise comes from, on the device where it is drawn; None takes one that
            the operating system seeds.
        estimator: What is averaged; see `SoftClassifier`.
        input_shape: Of one input, if the smoothed classifier does not know it.

    Raises:
        ValueError: If nothing tells the shape of an input, the noise is not additive or the
            generator is on another device.
        BaseClassifierError: If the base classifier is in training mode.

    Example:
        >>> import torch
        >>> from radii.noise import Gaussian
        >>> smoothed = SmoothedClassifier(lambda x: torch.cat([x, -x], dim=1), Gaussian(1.0), 2)
        >>> module = to_torch(smoothed, input_shape=(1,), generator=torch.Generator())
        >>> module(torch.tensor([[3.0], [-3.0]])).argmax(1)
        tensor([0, 1])
    """
    shape = input_shape or smoothed.input_shape
    if shape is None:
        raise ValueError("input_shape must be given, as the smoothed classifier does not know it")
    if smoothed.input_shape not in (None, tuple(shape)):
        raise ValueError(
            f"input_shape must be that of the smoothed classifier, {smoothed.input_shape}, "
            f"got {tuple(shape)}"
        )
    one = torch.zeros(1, *shape, device=smoothed.resolve_device())
    delta = smoothed.soft(one, draws, generator=generator, estimator=estimator).delta[:, 0]
    return SmoothedModule(smoothed, delta, estimator)
