"""What a run shows, in one sentence of plain words."""

from __future__ import annotations

from radii.evaluation.report.attacks import AttackSummary
from radii.evaluation.report.norms import symbol
from radii.evaluation.report.summary import Summary
from radii.rounding import exact, floored, percent_ceiled, percent_floored


def sentence_of(run: Summary) -> str:
    """What was certified, for how many inputs, and what ACR and certified accuracy mean here."""
    told = _told(run)
    radius, share = run.certified_accuracy[told]
    shown = exact([radius for radius, _ in run.certified_accuracy])[told]
    on = f" of {run.meta['data']}" if "data" in run.meta else ""
    of = "the only input" if run.examples == 1 else f"{run.examples:,} inputs"
    said = (
        f"Of {of}{on}, {percent_floored(run.standard_accuracy)} % got a certificate for their "
        f"right class and {percent_ceiled(run.abstention_rate)} % an abstention; the distance "
        f"({symbol(run.norm)}) up to which no change of an input can turn its right answer is "
        f"certified to be {floored(run.acr, 3)} on average (ACR; an input that is wrong or "
        f"abstained on counts as 0)"
    )
    if radius > 0:
        said += (
            f", and at least {shown} for {percent_floored(share.value)} % of all inputs "
            f"(certified accuracy at {shown})"
        )
    if run.alpha:
        said += f"; for each input, what is said is wrong with probability at most {run.alpha:g}"
    return said + "."


def attack_sentence(attack: AttackSummary) -> str:
    """What was attacked, and what came of it."""
    median = (
        ""
        if attack.median_norm is None
        else (
            f" by changes of median {symbol(attack.measured_norm)} norm "
            f"{floored(attack.median_norm, 3)}"
        )
    )
    within = f" within {attack.epsilon:g}" if attack.epsilon is not None else ""
    lost = round(attack.examples * attack.abstention_rate_under_attack) - round(
        attack.examples * attack.clean_abstention_rate
    )
    return (
        f"Of {attack.examples:,} inputs, {percent_floored(attack.clean_accuracy)} % are answered "
        f"right as they are; the attack{within} turned {attack.successes:,} of these answers into "
        f"wrong ones{median}, and {lost:,} into abstentions."
    )


def _told(run: Summary) -> int:
    """The largest radius of the table at which half of the inputs are certified, or the next."""
    found = [at for at, (_, share) in enumerate(run.certified_accuracy) if share.value >= 0.5]
    last = len(run.certified_accuracy) - 1
    return min(last, max(found[-1], 1)) if found else min(last, 1)
