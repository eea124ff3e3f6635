"""The first questions to a base classifier: is it one, and does it look at each row by itself?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from radii.errors import BaseClassifierError

_ROWS = 4
_TOLERANCE = 0.05  # of the spread of the scores: rounding in bfloat16 is less, statistics are more


def check_answers(
    module: Callable[[Tensor], Any],
    input_shape: tuple[int, ...],
    num_classes: int | None = None,
    *,
    device: torch.device | str = "cpu",
) -> None:
    """Refuses what no certificate could be about, by asking it three small batches.

    A certificate is about a function of one input. A classifier whose answer to a row depends on
    the other rows of its batch is no such function: one with batch norm in training mode, or one
    that scales its inputs by a mean over the batch. So one row is asked alone, and then among rows
    of another scale. Its scores may differ by rounding, that of bfloat16 included. The check finds
    mistakes; it does not prove that there are none. The inputs are always the same, and the state
    of torch's global generator is put back.

    Args:
        module: From `(rows, *input_shape)` float32 to scores or labels.
        input_shape: Of one input.
        num_classes: How many classes it must tell apart; None takes what it answers.
        device: Where the inputs are made.

    Raises:
        BaseClassifierError: If it is in training mode, fails, answers NaN, a wrong shape or a wrong
            number of classes, or answers the same row in different ways.

    Example:
        >>> check_answers(lambda x: x - x.mean(0), (3,))
        Traceback (most recent call last):
        radii.errors.BaseClassifierError: the base classifier must look at each row by itself, ...
    """
    if isinstance(module, nn.Module) and any(part.training for part in module.modules()):
        raise BaseClassifierError(
            "the base classifier must be in evaluation mode, got training mode; "
            "call base.eval() first."
        )
    device = torch.device(device)
    generator = torch.Generator().manual_seed(0)
    x = torch.rand((_ROWS, *input_shape), generator=generator, device="cpu")
    others = 10 * torch.randn((_ROWS, *input_shape), generator=generator, device="cpu")
    others[0] = x[0]
    with torch.random.fork_rng([device] if device.type == "cuda" else []), torch.no_grad():
        answers = _asked(module, x.to(device), num_classes)
        classes = answers.shape[1] if answers.ndim == 2 else num_classes
        for where, batch in (("alone", x[:1]), ("among others", others)):
            try:
                answer = _asked(module, batch.to(device), classes)
            except BaseClassifierError as error:
                raise _depends(f"given {where}, {error}") from error
            if not _differ(answers[:1], answer[:1], _spread(answers)):
                continue
            if _differ(answers, _asked(module, x.to(device), classes), _spread(answers)):
                raise BaseClassifierError(
                    "the base classifier must answer the same batch in the same way each time; "
                    "turn off what is random in it, as dropout in training mode."
                )
            raise _depends(f"a row that is given {where} gets another answer.")


def _asked(module: Callable[[Tensor], Any], x: Tensor, num_classes: int | None) -> Tensor:
    """Answers to a batch, checked: float64 scores or int64 labels."""
    try:
        answer: Tensor = torch.as_tensor(module(x.clone()), device=x.device)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # whatever a user's code may raise
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise BaseClassifierError(
            f"the base classifier failed on inputs of shape {tuple(x.shape)}: {reason}"
        ) from error
    if answer.is_floating_point():
        _check_scores(answer, len(x), num_classes)
        return answer.to(torch.float64)
    _check_labels(answer, len(x), num_classes)
    return answer.to(torch.int64)


def _check_scores(answer: Tensor, rows: int, num_classes: int | None) -> None:
    classes = "num_classes" if num_classes is None else num_classes
    if (
        answer.ndim != 2
        or len(answer) != rows
        or answer.shape[1] != (num_classes or max(2, answer.shape[1]))
    ):
        raise BaseClassifierError(
            f"the base classifier must answer scores of shape ({rows}, {classes}) or whole-number "
            f"labels of shape ({rows},), got {answer.dtype} of shape {tuple(answer.shape)}; "
            f"give one score to each class."
        )
    if bool(answer.isnan().any()):
        raise BaseClassifierError(
            f"the base classifier must answer numbers, got NaN for {rows} inputs of ordinary size; "
            f"mend its weights or how it scales its inputs."
        )


def _check_labels(answer: Tensor, rows: int, num_classes: int | None) -> None:
    if answer.shape != (rows,) or answer.is_complex():
        raise BaseClassifierError(
            f"the base classifier must answer whole-number labels of shape ({rows},) or floating "
            f"point scores of shape ({rows}, num_classes), got {answer.dtype} of shape "
            f"{tuple(answer.shape)}."
        )
    labels = answer.to(torch.int64)
    if int(labels.min()) < 0 or (num_classes is not None and int(labels.max()) >= num_classes):
        most = "" if num_classes is None else f" and less than {num_classes}"
        raise BaseClassifierError(
            f"labels of the base classifier must be at least 0{most}, got {labels.tolist()}; "
            f"number the classes from 0, and check how many there are."
        )


def _spread(answers: Tensor) -> float:
    """How far the scores of a row are apart, in the row where they are furthest; 0 for labels."""
    if answers.ndim == 1:
        return 0.0
    finite = answers.masked_fill(~answers.isfinite(), 0)
    return float((finite.amax(1) - finite.amin(1)).max())


def _differ(one: Tensor, other: Tensor, spread: float) -> bool:
    """Whether answers are further apart than rounding brings them."""
    if one.shape != other.shape:
        return True
    finite = one.isfinite() & other.isfinite()
    gap = float((one - other).abs().masked_fill(~finite, 0).max())
    return gap > _TOLERANCE * spread


def _depends(reason: str) -> BaseClassifierError:
    return BaseClassifierError(
        f"the base classifier must look at each row by itself, or no certificate holds; but "
        f"{reason} Put batch norm into evaluation mode, and scale inputs by constants, not by "
        f"statistics of the batch."
    )
