"""Folders of a model hub, and the base classifiers in them."""

from __future__ import annotations

from pathlib import Path

from radii.errors import BaseClassifierError
from radii.extras import imported
from radii.models.loaded import Base

_FILES = ("*.safetensors", "*.json")  # weights and descriptions: nothing that could be run
_LONGEST = 300  # of what the hub says; the rest is addresses and advice about its own tools


def from_pretrained(repository: str | Path, *, revision: str | None = None) -> Base:
    """A base classifier from a model hub: what `push_to_hub` wrote, or one of `transformers`.

    Needs the extra `hub`. Only safetensors and JSON are read, so no code of the repository runs.

    Args:
        repository: `owner/name` on the hub, or a folder with the same files.
        revision: A commit, branch or tag; name a commit to get the same weights each time.

    Raises:
        RadiiError: If the extra is not installed.
        BaseClassifierError: If it cannot be had, or is no base classifier.
    """
    from radii.models.adapters.hugging_face import HuggingFace

    return HuggingFace(str(repository), revision=revision).load()


def folder_of(repository: str, revision: str | None = None) -> Path:
    """The folder itself, or a local copy of the repository, from the cache where it is there.

    Raises:
        RadiiError: If the extra `hub` is not installed.
        BaseClassifierError: If the repository cannot be had.
    """
    if Path(repository).is_dir():
        if revision is not None:
            raise BaseClassifierError(
                f"{repository!r} is a folder, which has no revision {revision!r}; leave it out."
            )
        return Path(repository)
    hub = imported("huggingface_hub", "hub")
    try:
        return Path(
            hub.snapshot_download(repository, revision=revision, allow_patterns=list(_FILES))
        )
    except (OSError, ValueError) as error:  # no network, no such repository, no valid name
        said = " ".join(str(error).split())[:_LONGEST]
        raise BaseClassifierError(
            f"{repository!r} is no folder here, and the model hub does not give it: {said}"
        ) from error
