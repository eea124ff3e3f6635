"""Classifiers of `transformers`, and base classifiers of ours, in a folder or on a model hub."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from radii.errors import BaseClassifierError
from radii.extras import imported
from radii.models.adapters._image_processor import input_shape_of, normalize_of
from radii.models.adapters._made import base_of
from radii.models.adapters.base import ADAPTERS, Adapter
from radii.models.base import Normalized
from radii.models.hub import folder_of
from radii.models.loaded import Base

_IMAGES, _TEXTS = "ForImageClassification", "ForSequenceClassification"


class _Logits(nn.Module):
    """A classifier of `transformers` as a function from its input to scores."""

    def __init__(self, model: nn.Module, argument: str) -> None:
        super().__init__()
        self.model = model
        self.argument = argument

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.model(**{self.argument: x}).logits)


@ADAPTERS.register("hf")
@dataclass(frozen=True)
class HuggingFace(Adapter):
    """A classifier of `transformers`, or a base classifier that `push_to_hub` wrote; extra `hub`.

    Weights are read from safetensors only, and no code of a repository runs.

    An image classifier takes images in [0, 1] of the size that its image processor makes. What the
    processor does to their values (scale, mean, std) is done inside, after the noise. Images are
    not resized: give them in that size.

    A text classifier takes embeddings `(tokens, dim)`, what its first layer makes of a text of that
    many tokens, without padding. Noise is added to them, so the certificate is about changes of
    these vectors, in the norm over all tokens together. It says nothing of itself about exchanged
    words, which are further apart from each other than the radii that are usual.

    Attributes:
        repository: `owner/name` on the hub, or a folder with the same files.
        revision: A commit, branch or tag of the repository.
        tokens: How many tokens an input of a text classifier has.
    """

    repository: str
    revision: str | None = None
    tokens: int | None = None
    positional: ClassVar[str] = "repository"
    examples: ClassVar[tuple[dict[str, object], ...]] = (
        {"repository": "google/vit-base-patch16-224"},
        {"repository": "owner/sentiment", "tokens": 16},
    )

    def __post_init__(self) -> None:
        if self.tokens is not None and self.tokens < 1:
            raise ValueError(f"tokens must be at least 1, got {self.tokens!r}")

    def load(self) -> Base:
        """The classifier, behind its preprocessing.

        Raises:
            RadiiError: If the extra is not installed.
            BaseClassifierError: If it cannot be had, is no classifier, or prepares its inputs in a
                way that is not known here.
        """
        folder = folder_of(self.repository, self.revision)
        if (folder / "model.json").is_file():
            from radii.models.reference import load_base

            if self.tokens is not None:
                raise BaseClassifierError(
                    f"tokens must be left out: {self.repository!r} is a base classifier of radii, "
                    f"whose model.json gives the shape of its inputs; got {self.tokens}"
                )
            return load_base(str(folder))
        kind = _kind(folder, self.repository)
        if (kind == _TEXTS) != (self.tokens is not None):
            must = "be given for a text classifier" if kind == _TEXTS else "be left out for images"
            raise BaseClassifierError(
                f"tokens must {must}, which {self.repository!r} is, got {self.tokens}"
            )
        model = self._model(folder, kind)
        names = _class_names(model, self.repository)
        module: nn.Module
        shape: tuple[int, ...]
        if kind == _IMAGES:
            processor = _read_json(folder / "preprocessor_config.json", self.repository)
            channels = int(getattr(cast(Any, model).config, "num_channels", 3))
            shape = input_shape_of(processor, channels, self.repository)
            module = Normalized(
                normalize_of(processor, self.repository), _Logits(model, "pixel_values")
            )
        else:
            assert self.tokens is not None  # checked above
            embeddings = cast(nn.Embedding, cast(Any, model).get_input_embeddings())
            shape = (self.tokens, embeddings.embedding_dim)
            module = _Logits(model, "inputs_embeds")
        return base_of(module, f"hf:{self.repository}", shape, len(names), names)

    def _model(self, folder: Path, kind: str) -> nn.Module:
        transformers = imported("transformers", "hub")
        with _quiet(transformers), torch.random.fork_rng(devices=[]):
            try:
                model, found = getattr(transformers, f"AutoModel{kind}").from_pretrained(
                    str(folder),
                    use_safetensors=True,
                    trust_remote_code=False,
                    local_files_only=True,
                    output_loading_info=True,
                )
            except (OSError, ValueError, RuntimeError, ImportError) as error:
                said = " ".join(str(error).split())
                raise BaseClassifierError(
                    f"{self.repository!r} cannot be loaded by transformers: {said}"
                ) from error
        for problem in ("missing_keys", "mismatched_keys"):
            if found.get(problem):
                raise BaseClassifierError(
                    f"the weights of {self.repository!r} must fit its config.json, but "
                    f"{problem.replace('_', ' ')} are {sorted(map(str, found[problem]))[:3]}; "
                    f"take a repository that was trained for classification"
                )
        return cast(nn.Module, model.float())


def _kind(folder: Path, repository: str) -> str:
    config = _read_json(folder / "config.json", repository)
    architectures = [str(name) for name in config.get("architectures") or ()]
    for kind in (_IMAGES, _TEXTS):
        if any(name.endswith(kind) for name in architectures):
            return kind
    raise BaseClassifierError(
        f"{repository!r} must be a model {_IMAGES} or {_TEXTS}, got "
        f"{', '.join(architectures) or 'no architecture in its config.json'}"
    )


def _class_names(model: nn.Module, repository: str) -> list[str]:
    config = cast(Any, model).config
    names = [str(name) for _, name in sorted(config.id2label.items())]
    if len(names) < 2 or config.problem_type in ("regression", "multi_label_classification"):
        raise BaseClassifierError(
            f"{repository!r} must tell two classes or more from each other, got "
            f"{len(names)} of the problem type {config.problem_type or 'unknown'}"
        )
    return names


def _read_json(path: Path, repository: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise BaseClassifierError(
            f"{repository!r} must hold a {path.name}, which says how it is used; "
            f"take a repository of an image or text classifier"
        ) from None
    except (OSError, ValueError) as error:
        raise BaseClassifierError(
            f"{path.name} of {repository!r} cannot be read: {error}"
        ) from error
    if not isinstance(content, dict):
        raise BaseClassifierError(f"{path.name} of {repository!r} must hold a JSON object")
    return content


@contextlib.contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Inside it, no progress bars are drawn, and what loading reports is not printed too."""
    log = transformers.logging
    bars, verbosity = log.is_progress_bar_enabled(), log.get_verbosity()
    log.disable_progress_bar()
    log.set_verbosity_error()
    try:
        yield
    finally:
        log.set_verbosity(verbosity)
        if bars:
            log.enable_progress_bar()
