"""Self-training: inputs without labels, which another classifier labels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from radii.data import Dataset, PictureDataset
from radii.data.pictures import Pixels
from radii.errors import TrainingError
from radii.models import Base
from radii.training.from_disk import inputs_at

_AT_ONCE = 500


@dataclass(frozen=True)
class Unlabelled:
    """Further inputs, with the labels that a teacher gives them before training starts.

    Each step takes as many of them as of the labelled examples, and lowers
    `(loss + weight * loss of these) / (1 + weight)`. An epoch is one pass over the labelled
    examples; the others are gone through in an order of their own, over and over.

    Attributes:
        dataset: The inputs; its labels are not looked at.
        teacher: Says the label of each input, without noise.
        weight: Of their loss.

    Reference:
        Carmon et al. 2019, arXiv:1905.13736; with smoothing, Salman et al. 2019, arXiv:1906.04584.
    """

    dataset: Dataset
    teacher: Base
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.weight < math.inf:
            raise ValueError(f"unlabelled_weight must be positive and finite, got {self.weight!r}")

    def check(self, labelled: Dataset) -> None:
        """Refuses inputs of another shape, and a teacher of other classes.

        Raises:
            TrainingError: If these do not go with the labelled examples.
        """
        for what, ours, theirs in (
            ("unlabelled inputs must have the shape", self.dataset.input_shape, None),
            ("the teacher must take inputs of shape", self.teacher.input_shape, None),
            ("the number of classes of the teacher must be", None, self.teacher.num_classes),
        ):
            found = ours if theirs is None else theirs
            wanted = labelled.input_shape if theirs is None else labelled.num_classes
            if found is not None and found != wanted:
                raise TrainingError(f"{what} {wanted} of {labelled.reference}, got {found}.")

    @torch.no_grad()
    def labelled(self, like: Dataset, device: torch.device) -> Dataset:
        """The inputs with the teacher's labels, and the classes of the labelled examples.

        Raises:
            TrainingError: If the teacher gives a label that no class has.
        """
        teacher = self.teacher.module
        if isinstance(teacher, nn.Module):
            teacher = teacher.to(device)
        found = []
        for first in range(0, len(self.dataset), _AT_ONCE):
            few = range(first, min(first + _AT_ONCE, len(self.dataset)))
            x = inputs_at(self.dataset, few).to(device)
            answer = torch.as_tensor(teacher(x))
            found.append((answer.argmax(1) if answer.ndim == 2 else answer).cpu().numpy())
        labels = np.concatenate(found).astype(np.int64)
        if labels.min() < 0 or labels.max() >= like.num_classes:
            raise TrainingError(
                f"labels of the teacher must be in 0..{like.num_classes - 1}, got "
                f"{labels.min()}..{labels.max()}; take a teacher of these classes."
            )
        if isinstance(self.dataset, PictureDataset):
            return _RelabelledPictures(self.dataset, labels, like.class_names)
        return _Relabelled(self.dataset, labels, like.class_names)

    def record(self) -> dict[str, Any]:
        """What a run records of it."""
        return {
            "data_fingerprint": self.dataset.fingerprint,
            "teacher": self.teacher.sha256,
            "weight": self.weight,
        }


class _Relabelled(Dataset):
    """A data set with other labels."""

    def __init__(self, dataset: Dataset, labels: Any, class_names: tuple[str, ...]) -> None:
        self._dataset = dataset
        self.reference = dataset.reference
        self.labels = labels
        self.class_names = class_names
        self.input_shape = dataset.input_shape

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self._dataset[index][0], int(self.labels[index])

    @property
    def fingerprint(self) -> str:
        return self._dataset.fingerprint

    def tensors(self) -> tuple[Tensor, Tensor]:
        return self._dataset.tensors()[0], torch.from_numpy(self.labels)


class _RelabelledPictures(_Relabelled, PictureDataset):
    """Pictures with other labels, which can still be cut."""

    def __init__(self, dataset: PictureDataset, labels: Any, class_names: tuple[str, ...]) -> None:
        super().__init__(dataset, labels, class_names)
        self._pictures = dataset

    def picture(self, index: int) -> Image.Image:
        return self._pictures.picture(index)

    def pixels(self, index: int) -> Pixels:
        return self._pictures.pixels(index)
