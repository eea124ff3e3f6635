"""Image classifiers of `timm`."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import nn

from radii.errors import BaseClassifierError, did_you_mean
from radii.extras import imported
from radii.models.adapters._made import base_of
from radii.models.adapters.base import ADAPTERS, Adapter
from radii.models.base import Normalize, Normalized
from radii.models.loaded import Base
from radii.models.published import load_published, read_state

_LONGEST = 300  # of what the hub says


@ADAPTERS.register("timm")
@dataclass(frozen=True)
class TimmModel(Adapter):
    """An image classifier of `timm`, with pretrained weights or those of a file; extra `timm`.

    It takes images in [0, 1] of the size in its data config. The mean and std of that config are
    the first layer, after the noise. Images are not resized: give them in that size.

    Attributes:
        model: Its name in timm, as resnet18 or resnet18.a1_in1k.
        checkpoint: A file with a state dict of that model; by default the pretrained weights,
            which timm downloads or has in its cache.
        num_classes: Of the classifier in `checkpoint`; by default that of the pretrained one.

    Reference:
        Wightman 2019, PyTorch Image Models, https://github.com/huggingface/pytorch-image-models.
    """

    model: str
    checkpoint: str | None = None
    num_classes: int | None = None
    positional: ClassVar[str] = "model"
    examples: ClassVar[tuple[dict[str, object], ...]] = (
        {"model": "resnet18"},
        {"model": "resnet18", "checkpoint": "model.safetensors", "num_classes": 10},
    )

    def __post_init__(self) -> None:
        if self.num_classes is not None and self.num_classes < 2:
            raise ValueError(f"num_classes must be at least 2, got {self.num_classes!r}")
        if self.num_classes is not None and self.checkpoint is None:
            raise ValueError(
                f"num_classes must go with checkpoint, got {self.num_classes}: with another number "
                f"of classes the last layer of the pretrained weights would be untrained"
            )

    def load(self) -> Base:
        """The model, behind its normalisation.

        Raises:
            RadiiError: If the extra is not installed.
            BaseClassifierError: If timm has no such model, or its weights cannot be had.
        """
        timm = _timm()
        if not timm.is_model(self.model):
            known = timm.list_models()
            raise BaseClassifierError(
                f"timm {timm.__version__} has no model {self.model!r}; timm.list_models() lists "
                f"{len(known)}." + did_you_mean(self.model, known)
            )
        body = self._made(timm)
        config = timm.data.resolve_model_data_config(body)
        if self.checkpoint is not None:
            load_published(body, read_state(self.checkpoint))
        shape = tuple(int(size) for size in config["input_size"])
        module = Normalized(Normalize(config["mean"], config["std"]), body)
        return base_of(module, f"timm:{self.model}", shape, int(cast(Any, body).num_classes))

    def _made(self, timm: Any) -> nn.Module:
        more = {} if self.num_classes is None else {"num_classes": self.num_classes}
        with torch.random.fork_rng(devices=[]), contextlib.redirect_stderr(io.StringIO()):
            try:
                made = timm.create_model(self.model, pretrained=self.checkpoint is None, **more)
            except (OSError, RuntimeError, ValueError) as error:
                said = " ".join(str(error).split())[:_LONGEST]
                raise BaseClassifierError(
                    f"the weights of {self.model!r} are not in timm's cache and cannot be "
                    f"downloaded; name a file with checkpoint=FILE ({said})"
                ) from error
        return cast(nn.Module, made)


def _timm() -> Any:
    try:
        return imported("timm", "timm")
    except RuntimeError as error:  # as torchvision raises, if it was built for another torch
        raise BaseClassifierError(
            f"timm cannot be imported, because torchvision, which it needs, does not fit this "
            f"torch {torch.__version__} ({error}); install the torchvision that was built for it"
        ) from error
