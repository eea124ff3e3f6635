"""Tables of a data set hub, and of folders in its formats."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from radii.data.paths import expanded
from radii.errors import DataError, RadiiError
from radii.extras import imported

_PARQUET = re.compile(r"(?P<split>\w+?)(-\d+-of-\d+(-\w+)?)?\.parquet")
_SECONDS = 10  # to find out whether the hub answers
_LONGEST = 300  # of what the hub says; the rest is addresses and advice about its own tools
_SCRIPTS_END = 4  # the version of `datasets` from which on no repository can bring code


def opened(path: str, split: str, configuration: str | None, revision: str | None) -> Any:
    """The table of one split.

    Args:
        path: `OWNER/NAME` on the hub, or a folder.
        split: Its name.
        configuration: Which part of a repository, or which subfolder of a folder of parquet files.
        revision: A commit, branch or tag of a repository.

    Raises:
        RadiiError: If the extra `hub` is not installed.
        DataError: If the table cannot be had.
    """
    datasets = imported("datasets", "hub")
    if int(datasets.__version__.split(".")[0]) < _SCRIPTS_END:
        raise RadiiError(
            f"datasets must be of version {_SCRIPTS_END} or later, which runs no code of a "
            f'repository, got {datasets.__version__}: pip install -U "radii[hub]"'
        )
    folder = expanded(path)
    try:
        if folder.is_dir():
            return _from_folder(datasets, folder, split, configuration)
        return _from_hub(datasets, path, split, configuration, revision)
    except (RadiiError, KeyboardInterrupt):
        raise
    except Exception as error:  # whatever the clients of the hub and the readers of files raise
        said = " ".join(str(error).split())[:_LONGEST]
        where = "" if folder.is_dir() else "is no folder here, and "
        raise DataError(
            f"{path!r} {where}cannot be read as a data set with the split {split!r}: {said}; "
            f"check its name, split and configuration"
        ) from error


def _from_folder(datasets: Any, folder: Path, split: str, configuration: str | None) -> Any:
    saved = folder / "dataset_dict.json"
    if saved.is_file():
        _check_split(str(folder), split, json.loads(saved.read_text("utf-8"))["splits"])
        return datasets.load_from_disk(str(folder / split))
    if (folder / "state.json").is_file():
        return datasets.load_from_disk(str(folder))  # one split, whichever was asked for
    files: dict[str, list[str]] = {}
    for place in (folder / (configuration or "."), folder / "data" / (configuration or ".")):
        for path in sorted(place.glob("*.parquet")):
            if match := _PARQUET.fullmatch(path.name):
                files.setdefault(match["split"], []).append(str(path))
    if not files:
        raise DataError(
            f"{str(folder)!r} must hold what save_to_disk wrote or files like "
            f"{split}-00000-of-00001.parquet, and does not; for image files write folder:PATH"
        )
    _check_split(str(folder), split, sorted(files))
    return datasets.load_dataset("parquet", data_files={split: files[split]}, split=split)


def _from_hub(
    datasets: Any, path: str, split: str, configuration: str | None, revision: str | None
) -> Any:
    if not datasets.config.HF_HUB_OFFLINE:
        _check_answers(path, revision)
    return datasets.load_dataset(path, configuration, split=split, revision=revision)


def _check_answers(path: str, revision: str | None) -> None:
    """Says at once if the hub cannot be reached; its own client tries again for half a minute."""
    hub = imported("huggingface_hub", "hub")
    try:
        hub.HfApi().dataset_info(path, revision=revision, timeout=_SECONDS)
    except Exception as error:  # of whichever library for HTTP it uses
        said = " ".join(str(error).split())[:_LONGEST]
        raise DataError(
            f"{path!r} is no folder here, and the data set hub does not give it: {said}; where "
            f"there is no network, set HF_HUB_OFFLINE=1 to take what its cache holds"
        ) from error


def _check_split(path: str, split: str, known: list[str]) -> None:
    if split not in known:
        raise DataError(f"{path!r} has no split {split!r}; it has {', '.join(known)}")
