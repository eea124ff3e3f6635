"""Why the numbers of a report may mean less than they seem to, in plain sentences."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from radii.evaluation.comparability import difference
from radii.evaluation.readings import changes_of, sentences
from radii.evaluation.report.groups import Group, groups_of
from radii.evaluation.seeds import denoised_for

if TYPE_CHECKING:
    from radii.evaluation.report.summary import Summary


def caveats(runs: Sequence[Summary]) -> list[str]:
    """What a reader must know before believing the numbers, the gravest first.

    Args:
        runs: At least one.
    """
    again = sentences(run.meta for run in runs)
    single = [sentence for run in runs for sentence in _of_one(run, _name(run, runs))]
    of_groups = [sentence for group in groups_of(runs) for sentence in of_group(group)]
    return again + single + _between(runs) + of_groups + _of_acr(runs)


def _of_one(run: Summary, name: str) -> list[str]:
    said = []
    if run.expected is not None and run.examples < run.expected:
        said.append(
            f"{name} holds {run.examples:,} of {run.expected:,} inputs: it was not finished. "
            f"Inputs are certified in the order of the data set, so what it holds is no random "
            f"sample of them."
        )
    if run.coverage == "window":
        said.append(
            f"{name} covers {run.meta['subset']}, a fixed part of the "
            f"{run.meta['data_examples']:,} inputs of the data set: neither all of them nor a "
            f"random sample. Nothing follows from it about the others."
        )
    if run.coverage == "unknown":
        said.append(
            f"{name} does not say which inputs of which data set it covers. "
            f"Its numbers are those of the {run.examples:,} inputs in it and of no others."
        )
    said += _of_import(run, name)
    if run.meta.get("vote") == "soft":
        said.append(
            f"{name} adds up softmax scores in place of votes: what it certifies is another "
            f"classifier than that of a run which counts labels."
        )
    trained = denoised_for(run.meta.get("base_training"), run.noise)
    if trained is not None:
        said.append(
            f"{name} is about {run.noise}, and the denoiser of its base classifier was trained for "
            f"{trained}: the radii hold, but a denoiser for this noise may give larger ones."
        )
    if run.has_other_bound:
        said.append(
            f"{name} bounds its votes by {run.bound}: most published radii are those of "
            f"clopper_pearson, which gives the same votes other radii (--bound clopper_pearson)."
        )
    if run.stop != "never":
        said.append(
            f"{name} stopped early ({run.stop}): each radius is what was decided by then, not what "
            f"n draws would give, so its ACR is a lower bound of the one at n={run.n:,}. So is its "
            f"certified accuracy at radii that it did not decide; n draws may abstain less often."
        )
    if run.meta.get("domain"):
        said.append(
            f"{name} is about {run.meta['domain']}: "
            f"a radius says nothing about other points of the ball."
        )
    return said


def _of_import(run: Summary, name: str) -> list[str]:
    imported = run.meta.get("imported")
    if imported is None:
        return []
    said = (
        f"{name} was imported: its radii are those that were published, as they were rounded, and "
        f"its votes are not known."
    )
    unfit = imported.get("fit_no_count", 0)
    if unfit:
        said += (
            f" {unfit:,} of its radii are none that n={run.n:,} votes at alpha={run.alpha} can "
            f"give, so n or alpha were others."
        )
    return [said]


def _between(runs: Sequence[Summary]) -> list[str]:
    said = [
        difference(key, _listed(part, key))
        for key in ("norm", "n", "alpha", "bound", "certificate")
        for part in _parts(runs, key)
        if len({getattr(run, key) for run in part}) > 1
    ]
    if len({(run.meta.get("data_fingerprint"), run.indices) for run in runs}) > 1:
        said.append(
            "The runs are about different inputs: "
            "a difference between them may be one of the inputs alone."
        )
    return said


def _parts(runs: Sequence[Summary], key: str) -> list[list[Summary]]:
    """The runs, in parts that should be alike in this key where they are compared.

    That is all of them, but each stopping rule has bounds of its own, and each noise its
    certificates. What bound or certificate a run was read with is said in a sentence of its own.
    """
    if key not in ("bound", "certificate"):
        return [list(runs)]
    parts: dict[object, list[Summary]] = defaultdict(list)
    for run in runs:
        if key not in changes_of(run.meta):
            of_noise = (run.noise.partition(":")[0], run.norm)
            parts[run.stop if key == "bound" else of_noise].append(run)
    return list(parts.values())


def of_group(group: Group) -> list[str]:
    """What the deviation of a group does not say, if base classifiers occur more than once."""
    runs, bases = len(group.runs), group.bases
    if bases == runs:
        return []
    if bases == 1:
        return [
            f"The {runs} runs of {group.name} are of one base classifier: their deviation is that "
            f"of the noise that was drawn, and says nothing of another training."
        ]
    return [
        f"The {runs} runs of {group.name} are of {bases} base classifiers, some of which were "
        f"certified more than once: their deviation is less than that over trainings may be."
    ]


def _of_acr(runs: Sequence[Summary]) -> list[str]:
    said = []
    for run in runs:
        infinite = int(np.isinf(run.outcomes.correct_radius).sum())
        if infinite:
            said.append(
                f"{_name(run, runs)} has an infinite ACR, because {infinite:,} of its "
                f"{run.examples:,} inputs have an infinite radius."
            )
    votes = {run.meta.get("reread_of", {}).get("run", run.run): id(run) for run in reversed(runs)}
    fixed = [run for run in runs if run.bound != "exact" and run.stop == "never"]
    if not fixed:
        return said
    grows = "ACR grows with n, so compare it at equal n only."
    capped = [
        f"{run.unanimous:,} of {run.examples:,} inputs"
        + (f" in {run.run}" if len(runs) > 1 else "")
        for run in fixed
        if run.unanimous and id(run) in votes.values()  # readings of one run have its votes
    ]
    if capped:
        grows += (
            f" All n draws agreed on {', '.join(capped)}: "
            f"the radius of these is as large as n allows, whatever the classifier."
        )
    return [*said, grows]


def _name(run: Summary, runs: Sequence[Summary]) -> str:
    return "The run" if len(runs) == 1 else run.run


def _listed(runs: Sequence[Summary], key: str) -> str:
    values = sorted({getattr(run, key) for run in runs})
    return ", ".join(f"{value:,}" if isinstance(value, int) else str(value) for value in values)
