"""What a model hub shows of a base classifier: a page filled from its description and a ledger."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from radii.errors import LedgerError
from radii.evaluation.report.commands import command_of
from radii.evaluation.report.norms import symbol
from radii.evaluation.report.report import Report
from radii.evaluation.report.sentences import sentence_of
from radii.evaluation.report.summary import Summary
from radii.provenance import versions
from radii.rounding import ceiled, complement, exact, floored, percent_ceiled, percent_floored

_TAGS = ("certified-robustness", "randomized-smoothing", "adversarial-robustness", "radii")


def model_card(
    description: Mapping[str, Any],
    repository: str,
    ledger: Path | str | None = None,
    *,
    license: str = "unknown",
) -> str:
    """The model card, in Markdown below YAML metadata; numbers are rounded as in reports.

    Paths of this machine are not in it: of data in files it names the reader and the file.

    Args:
        description: The content of the base classifier's `model.json`.
        repository: `owner/name`.
        ledger: A certification of this base classifier, if there is one.
        license: As the hub calls it, for example apache-2.0.

    Raises:
        LedgerError: If the ledger is none, or is about other weights.
    """
    run = None if ledger is None else _summary(description, ledger)
    parts = [
        _metadata(license),
        f"# {repository.rpartition('/')[2]}",
        _about(description),
        *([] if run is None else _certified(run, repository)),
        _use(repository, run),
        _versions(run),
    ]
    return "\n\n".join(parts) + "\n"


def _summary(description: Mapping[str, Any], ledger: Path | str) -> Summary:
    summaries = Report.of([ledger]).summaries
    if not summaries:
        raise LedgerError(f"{str(ledger)!r} must be a certified run, got an attack run")
    (run,) = summaries
    found, wanted = run.meta.get("base_sha256"), description.get("sha256")
    if found != wanted:
        raise LedgerError(
            f"{str(ledger)!r} must be about the weights with the SHA-256 {wanted}, got {found}; "
            f"certify this base classifier and give that ledger"
        )
    meta = dict(run.meta)
    if "data" in meta:
        meta["data"] = _without_folders(str(meta["data"]))
    return replace(run, meta=meta)


def _metadata(license: str) -> str:
    lines = [f"license: {json.dumps(license)}", "library_name: radii", "tags:"]
    return "\n".join(["---", *lines, *(f"- {tag}" for tag in _TAGS), "---"])


def _about(description: Mapping[str, Any]) -> str:
    shape = " x ".join(map(str, description["input_shape"]))
    said = (
        f"A base classifier for randomized smoothing: inputs of shape {shape} to "
        f"{description['num_classes']} classes. It is meant to be asked under noise, many times "
        f"for each input; what is certified is the class that it answers most often."
    )
    facts = {
        "Architecture": description["architecture"],
        "Objective": description.get("objective"),
        "Noise in training": description.get("noise"),
        "Epochs": description.get("epochs"),
        "Training data": _without_folders(str(description.get("data") or "")) or None,
        "SHA-256 of the weights": description.get("sha256"),
    }
    known = [[name, f"`{_text(value)}`"] for name, value in facts.items() if value is not None]
    return f"{said}\n\n{_table([['', ''], *known])}"


def _certified(run: Summary, repository: str) -> list[str]:
    interval = run.acr_interval
    acr = "" if run.acr_se is None else f" (standard error {ceiled(run.acr_se, 3)})"
    if interval is not None:
        acr += f", 95 % interval {floored(interval.lower, 3)} to {ceiled(interval.upper, 3)}"
    facts = [
        ["Noise", f"`{run.noise}`"],
        ["Norm", symbol(run.norm)],
        ["Draws to select, n0", "-" if run.n0 is None else f"{run.n0:,}"],
        ["Draws to bound, n", f"{run.n:,}"],
        ["alpha, for each input", f"{run.alpha:g}"],
        ["Bound, stopping, certificate", f"`{run.bound}`, `{run.stop}`, `{run.certificate}`"],
        ["Inputs", f"{run.examples:,}{_part(run)}"],
        ["Right and certified", f"{percent_floored(run.standard_accuracy)} %"],
        ["Abstained", f"{percent_ceiled(run.abstention_rate)} %"],
        ["Average certified radius (ACR)", f"{floored(run.acr, 3)}{acr}"],
    ]
    accuracy: list[Sequence[str]] = [["Radius", "Certified accuracy (%)", "95 % interval"]]
    for radius, (_, share) in zip(
        exact([radius for radius, _ in run.certified_accuracy]), run.certified_accuracy, strict=True
    ):
        ends = f"{percent_floored(share.lower)} to {percent_ceiled(share.upper)}"
        accuracy.append([radius, percent_floored(share.value), ends])
    parts = [
        "## What is certified",
        sentence_of(run),
        _table([["", ""], *facts]),
        "Certified accuracy is the share of inputs whose right class is certified at least within "
        "the radius; wrong answers and abstentions count as not certified. Shares and radii are "
        "rounded down.",
        _table(accuracy),
    ]
    if run.alpha:
        parts.append(
            f"The claim for each input: with probability at least {complement(run.alpha)} over the "
            f"noise that was drawn, the smoothed classifier (this network under `{run.noise}`) "
            f"answers the certified class at every point closer to the input than the radius. It "
            f"holds for the smoothed classifier, and not for the network without noise."
        )
    command = command_of(Path(run.run).name, {**run.meta, "base": f"hf:{repository}"})
    if command is not None:
        parts += ["## How to make the numbers again", f"```sh\n{command}\n```"]
    return parts


def _part(run: Summary) -> str:
    of = f" of `{run.meta['data']}`" if "data" in run.meta else ""
    subset = run.meta.get("subset", "all")
    missing = "" if run.expected in (None, run.examples) else f", of {run.expected:,} wanted"
    return of + ("" if subset == "all" else f" (subset `{subset}`)") + missing


def _use(repository: str, run: Summary | None) -> str:
    noise = "gaussian:sigma=0.5" if run is None else run.noise
    lines = [
        "import radii",
        "from radii.noise import NOISES",
        "",
        f"base = radii.from_pretrained({json.dumps(repository)})",
        "smoothed = radii.SmoothedClassifier(",
        f"    base.module, NOISES.build({json.dumps(noise)}), base.num_classes,",
        "    input_shape=base.input_shape,",
        ")",
        "smoothed.predict(x, n=1_000, alpha=0.001)  # a class, or None where it abstains",
    ]
    return "\n".join(["## How to use it", "", "```python", *lines, "```"])


def _versions(run: Summary | None) -> str:
    found = versions() if run is None else run.meta.get("versions", versions())
    made = "This card was written" if run is None else "The inputs were certified"
    listed = ", ".join(f"{name} {version}" for name, version in found.items())
    return f"{made} with {listed}."


def _without_folders(data: str) -> str:
    """`npz:points.npz@test` for `npz:/home/somebody/points.npz@test`."""
    reader, colon, path = data.partition(":")
    return f"{reader}:{PurePath(path).name}" if colon else data


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = rows
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, [":--"] * len(head), *body))
