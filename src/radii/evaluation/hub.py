"""Base classifiers onto a model hub, with what is certified of them."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from radii.errors import RadiiError
from radii.extras import imported
from radii.models import load_base

_FILES = ("model.safetensors", "model.json")
_LONGEST = 300  # of what the hub says


def push_to_hub(
    directory: Path | str,
    repository: str,
    *,
    ledger: Path | str | None = None,
    license: str = "unknown",
    private: bool = True,
    token: str | None = None,
) -> str:
    """Uploads a base classifier that training wrote, with a model card filled from a ledger.

    Needs the extra `hub`. The repository is made if it is missing. Uploaded are the weights, their
    description and the card, in one commit, and nothing else of the directory. The description
    holds the reference of the training data as it was written, its path included.

    Args:
        directory: What `radii train` or `save_base` wrote.
        repository: `owner/name`.
        ledger: A certification of this base classifier; its numbers fill the card.
        license: As the hub calls it, for example apache-2.0.
        private: Whether only the owner sees a repository that is made; one that is there keeps
            what it is.
        token: Of the hub; by default the one that `hf auth login` stored.

    Returns:
        The address of the commit.

    Raises:
        RadiiError: If the extra is not installed, or the hub refuses.
        BaseClassifierError: If the directory holds no base classifier.
        LedgerError: If the ledger is about other weights.
    """
    from radii.evaluation.report import model_card  # which loads what draws pictures

    hub = imported("huggingface_hub", "hub")
    base = load_base(str(directory))  # refuses weights that do not belong to the description
    card = model_card({**base.details, "sha256": base.sha256}, repository, ledger, license=license)
    with tempfile.TemporaryDirectory() as folder:
        for name in _FILES:
            shutil.copyfile(Path(directory) / name, Path(folder) / name)
        (Path(folder) / "README.md").write_text(card, "utf-8")
        api = hub.HfApi(token=token)
        try:
            api.create_repo(repository, private=private, exist_ok=True)
            commit = api.upload_folder(
                repo_id=repository,
                folder_path=folder,
                commit_message="A base classifier for randomized smoothing",
            )
        except Exception as error:  # of hub and transport; the transport's differ by version
            said = " ".join(str(error).split())[:_LONGEST]
            raise RadiiError(
                f"the model hub does not take {repository!r}: {said}; check the name, and that the "
                f"token may write there."
            ) from error
    return str(commit)
