"""Which runs are equal in everything but their seeds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# Of `model.json`: what may differ between trainings that are equal but for their seed. Whatever
# else it holds must be the same, also what later versions add.
_BESIDE_TRAINING = ("seed", "sha256", "data", "versions", "git_revision", "exported_epoch")

# The same of a ledger's meta.
_BESIDE_RUN = (
    *("seed", "key_sha256", "base_seed", "base_sha256", "base", "data", "versions"),
    *("git_revision", "device_name", "created", "label_agreement", "input_shape", "executor"),
)


def training_of(details: Mapping[str, Any]) -> dict[str, Any]:
    """How a base classifier was trained, for a ledger: `base_training` and `base_seed`.

    Args:
        details: The content of its `model.json`.

    Returns:
        The spec of the training without its seed, and the seed; nothing where `details` does not
        say these.
    """
    if not {"objective", "seed"} <= details.keys():
        return {}
    spec = {key: value for key, value in details.items() if key not in _BESIDE_TRAINING}
    return {"base_training": spec, "base_seed": details["seed"]}


def denoised_for(training: Mapping[str, Any] | None, noise: str) -> str | None:
    """The noise that the denoiser of a base classifier was trained for, if it is another one.

    Args:
        training: The `base_training` of a ledger, where it has one.
        noise: Spec of the noise that is certified.
    """
    if training is None or not str(training.get("architecture")).startswith("denoised:"):
        return None
    trained = training.get("noise")
    return None if trained in (None, noise) else str(trained)


def likeness(meta: Mapping[str, Any]) -> str | None:
    """A text that runs share if they differ only in the seeds of training and sampling.

    Args:
        meta: Of a ledger.

    Returns:
        None where the ledger does not say how its base classifier was trained.
    """
    if "base_training" not in meta:
        return None
    same = {key: value for key, value in meta.items() if key not in _BESIDE_RUN}
    if "imported" in same:
        same["imported"] = same["imported"]["layout"]
    if "reread_of" in same:
        same["reread_of"] = {key: v for key, v in same["reread_of"].items() if key != "run"}
    return json.dumps(same, sort_keys=True)


def base_of(meta: Mapping[str, Any]) -> object:
    """What tells the base classifier of a run from others; an imported run tells only its file."""
    return meta["imported"]["sha256"] if "imported" in meta else meta["base_sha256"]


def run_of(meta: Mapping[str, Any]) -> object:
    """What tells a run from others with the same `likeness`: base classifier and sampling seed."""
    return base_of(meta), meta.get("seed")
