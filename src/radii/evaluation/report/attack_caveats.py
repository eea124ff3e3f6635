"""Why the numbers of attack runs may mean less than they seem to, in plain sentences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from radii.evaluation.audit import classifier_of
from radii.evaluation.report.attacks import AttackSummary

if TYPE_CHECKING:
    from radii.evaluation.report.report import Report

_FEW_DRAWS = 64


def attack_caveats(report: Report) -> list[str]:
    """What a reader must know before believing the attack runs and the envelope, if there are any.

    Args:
        report: At least one attack run, or one whose envelope is wanted.
    """
    said = []
    if report.attacks:
        said.append(
            "Accuracy under attack is an upper bound of robust accuracy: it says what one attack "
            "did not break. Another attack, more draws or more steps may break more."
        )
    for attack, name in zip(report.attacks, report.attack_names, strict=True):
        said += _of_one(attack, "The attack run" if len(report.attacks) == 1 else name)
    said += _of_pairs(report)
    if report.envelope:
        said += _of_envelope(report)
    return said


def _of_one(attack: AttackSummary, name: str) -> list[str]:
    said = []
    if attack.without_noise:
        said.append(
            f"{name} searched with a base classifier and not with an average over noise, which is "
            f"a weak attack on a smoothed classifier."
        )
    elif attack.draws is not None and attack.draws < _FEW_DRAWS:
        said.append(
            f"{name} averaged over {attack.draws:,} draws of noise: fewer than {_FEW_DRAWS} "
            f"make a weak attack, so the accuracy that it leaves is too high."
        )
    if attack.measured_norm != attack.norm:
        said.append(
            f"{name} searched in {attack.norm}; the norms reported are the "
            f"{attack.measured_norm} norms of the same perturbations. An attack made for "
            f"{attack.measured_norm} may find smaller ones."
        )
    if math.isfinite(attack.reach):
        said.append(
            f"{name} looked no further than epsilon = {attack.reach:g}: nothing is shown beyond."
        )
    if attack.expected is not None and attack.examples < attack.expected:
        said.append(
            f"{name} holds {attack.examples:,} of {attack.expected:,} inputs: it was not finished. "
            f"What it holds is no random sample of them."
        )
    if attack.coverage == "window":
        said.append(
            f"{name} covers {attack.meta['subset']}, a fixed part of the "
            f"{attack.meta['data_examples']:,} inputs of the data set: neither all of them nor a "
            f"random sample."
        )
    if attack.coverage == "unknown":
        said.append(f"{name} does not say which inputs of which data set it covers.")
    return said


def _of_pairs(report: Report) -> list[str]:
    said = []
    for pair in report.pairs:
        run, attack = report.summaries[pair.certified], report.attacks[pair.attacked]
        names = f"{report.names[pair.certified]} and {report.attack_names[pair.attacked]}"
        if pair.refused is not None:
            said.append(f"{names} are of one classifier but were not audited: {pair.refused}.")
        elif run.indices != attack.indices:
            common = len(set(run.indices) & set(attack.indices))
            said.append(
                f"{names} cover different inputs, {run.examples:,} and {attack.examples:,} with "
                f"{common:,} in common: a gap between their curves may be one of the inputs alone."
            )
    if report.summaries:
        alone = {*range(len(report.attacks))} - {pair.attacked for pair in report.pairs}
        said += [
            f"No certified run here is of the classifier of {report.attack_names[position]}: "
            f"base classifier, noise and precision must be the same to compare and to audit."
            for position in sorted(alone)
        ]
    return said


def _of_envelope(report: Report) -> list[str]:
    said = [
        "The envelope takes the best classifier at each radius after looking at all of them. That "
        "is optimistic: no one classifier is so good, and one chosen by these numbers would do "
        "worse on other inputs."
    ]
    certified = {classifier_of(run.meta) for run in report.summaries}
    attacked = {classifier_of(attack.meta) for attack in report.attacks}
    if report.summaries and report.attacks and certified != attacked:
        said.append(
            f"The envelope of certified accuracy is over {len(certified)} classifiers, that of "
            f"accuracy under attack over {len(attacked)}, not all of them the same."
        )
    return said
