"""What a published result becomes before it is a ledger, and what has to be said beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from radii.certificates import CERTIFICATES, Certificate, find
from radii.data import Dataset, Subset
from radii.errors import DataError
from radii.evaluation.importers.pattern import Found, filled
from radii.evaluation.ledger import Row
from radii.noise import NOISES
from radii.records import FloatArray, IntArray, Norm

_OF_PLAN = ("sigma", "seed", "n", "n0", "alpha", "objective")
_MOST_DRAWS = 10**7  # for which a table of all counts is made
ABSTAINED = -1  # in published results
_NONE: Mapping[int, float] = {}  # shared by all rows


@dataclass(frozen=True)
class Settings:
    """What published results do not say of themselves; a field of a pattern comes before these.

    Attributes:
        noise: Spec of the smoothing distribution; fields of the pattern may stand in it.
        norm: The norm of the radii.
        certificate: Its name, where several cover the noise and norm.
        n0: Draws that selected the class of an input; None for what the published code took.
        n: Draws that bounded its probability.
        alpha: Probability that what is said of one input is wrong.
    """

    noise: str = "gaussian:sigma={sigma}"
    norm: Norm = "l2"
    certificate: str | None = None
    n0: int | None = None
    n: int = 100_000
    alpha: float = 0.001

    def __post_init__(self) -> None:
        for name in ("n0", "n"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value!r}")
            if value is not None and value > _MOST_DRAWS:
                raise ValueError(f"{name} must be at most {_MOST_DRAWS:,}, got {value!r}")
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha must be in (0, 1), got {self.alpha!r}")

    def of(self, found: Found, dim: int | None = None) -> Terms:
        """These settings for one result, with what its path says.

        Args:
            found: In the path of the result.
            dim: Coordinates of an input, for certificates that depend on it.

        Raises:
            ValueError: If a field of the path has no place, or no value that can be.
            NotCoveredError: If no certificate covers noise and norm, or none of that name does.
        """
        fields = found.fields
        noise = NOISES.build(filled(self.noise, fields))
        plan = Settings(
            n0=int(fields["n0"]) if "n0" in fields else self.n0,
            n=int(fields.get("n", self.n)),
            alpha=float(fields.get("alpha", self.alpha)),
        )
        training = None
        if "seed" in fields:
            others = {key: text for key, text in fields.items() if key not in _OF_PLAN}
            objective = "/".join(filter(None, (found.folder, fields.get("objective"))))
            training = {"objective": objective, **others} if objective else None
        return Terms(
            certificate=find(noise, self.norm, self.certificate, dim=dim),
            n0=plan.n0,
            n=plan.n,
            alpha=plan.alpha,
            training=training,
            seed=int(fields["seed"]) if "seed" in fields else None,
        )


@dataclass(frozen=True)
class Terms:
    """What is known of one result beside its rows.

    Attributes:
        certificate: Of the radii; it holds the noise.
        n0: Draws that selected the class of an input; None for what the published code took.
        n: Draws that bounded its probability.
        alpha: Probability that what is said of one input is wrong.
        training: What runs that differ only in their seeds share; None where their paths do not
            tell what was trained and with which seed.
        seed: Of the training.
    """

    certificate: Certificate
    n0: int | None
    n: int
    alpha: float
    training: Mapping[str, str] | None
    seed: int | None


@dataclass(frozen=True, eq=False)
class Columns:
    """The inputs of one result, in its order.

    Attributes:
        index: `(examples,)` int64. Of the input in its data set.
        label: `(examples,)` int64. The true class.
        prediction: `(examples,)` int64. The class certified, or -1.
        radius: `(examples,)` float64. As published; 0 where it abstained.
        fits: `(examples, 2)` int64. The least and the most votes that fit what was published; -1
            where none do.
        pA_lower: `(examples,)` float64. The bound that the least of them give, or the most that
            certify no more than was published.
        pB_upper: `(examples,)` float64. The same above every other class.
        seconds: `(examples,)` float64.
        line: `(examples,)` int64. Where each stands in its file, from 1.
        selection: `(examples, num_classes)` int64 votes that selected the class, where they were
            published.
    """

    index: IntArray
    label: IntArray
    prediction: IntArray
    radius: FloatArray
    fits: IntArray
    pA_lower: FloatArray
    pB_upper: FloatArray
    seconds: FloatArray
    line: IntArray
    selection: IntArray | None = None

    def __len__(self) -> int:
        return len(self.index)


@dataclass(frozen=True, eq=False)
class Imported:
    """One published result, read and checked, but not yet written.

    Attributes:
        source: The file, or folder, it was read from.
        name: What its ledger is called among those of a tree.
        terms: What is known of it beside its rows.
        columns: Its inputs.
        about: What the ledger says of where it came from, under `imported`.
        notes: What a reader should know of how it was read, in plain sentences.
        samples: Draws spent on an input.
        unit: What a row of the source is called in messages.
    """

    source: Path
    name: str
    terms: Terms
    columns: Columns
    about: Mapping[str, Any]
    notes: tuple[str, ...] = field(default=())
    samples: int = 0
    unit: str = "line"

    def rows(self) -> Iterator[Row]:
        """The rows of its ledger, by index."""
        c = self.columns
        order = np.argsort(c.index, kind="stable")
        fields = (c.index, c.label, c.prediction, c.radius, c.pA_lower, c.pB_upper, c.seconds)
        lists = (each[order].tolist() for each in (*fields, c.fits))
        chosen = c.selection[order] if c.selection is not None else [None] * len(c)
        for values, votes in zip(zip(*lists, strict=True), chosen, strict=True):
            index, label, prediction, radius, pA_lower, pB_upper, seconds, fits = values
            yield Row(
                index=index,
                label=label,
                prediction=None if prediction == ABSTAINED else prediction,
                radius=radius,
                pA_lower=pA_lower,
                pB_upper=pB_upper,
                n0_votes=_NONE if votes is None else _positive(votes),
                n_votes=_NONE,
                samples=self.samples,
                seconds=seconds,
                n0_squares=_NONE,
                n_squares=_NONE,
                fits=None if fits[0] < 0 else (fits[0], fits[1]),
            )

    def spec(self) -> dict[str, Any]:
        """What its ledger says of the run, but for the data set."""
        certificate, terms = self.terms.certificate, self.terms
        spec = {
            "noise": NOISES.spec_of(certificate.noise),
            "norm": certificate.norm,
            "certificate": CERTIFICATES.name_of(certificate),
            "bound": "clopper_pearson",
            "stop": "never",
            "vote": "hard",
            "alpha": terms.alpha,
            "n0": terms.n0,
            "n": terms.n,
            "domain": certificate.domain,
            "imported": dict(self.about),
        }
        if terms.seed is not None:
            spec["base_seed"] = terms.seed
        if terms.training is not None:
            spec["base_training"] = dict(terms.training)
        return spec

    def of_data(self, dataset: Dataset | str | None) -> dict[str, Any]:
        """What its ledger says of the data set, once labels are compared with it.

        Args:
            dataset: The data set; its name, where it is not at hand; or None.

        Raises:
            DataError: If an input is not in the data set, or has another label there.
        """
        if dataset is None or isinstance(dataset, str):
            return {} if dataset is None else {"data": dataset}
        c, total = self.columns, len(dataset)
        for at in np.flatnonzero(c.index >= total)[:1]:
            raise DataError(
                f"{self.at(at)}: the index must be below {total:,}, the inputs of "
                f"{dataset.reference}, got {c.index[at]}; give the data set of the log."
            )
        there = dataset.labels[c.index]
        for at in np.flatnonzero(there != c.label)[:1]:
            raise DataError(
                f"{self.at(at)}: input {c.index[at]} of {dataset.reference} must have label "
                f"{there[at]}, got {c.label[at]}; give the data set of the log."
            )
        for at in np.flatnonzero(c.prediction >= dataset.num_classes)[:1]:
            raise DataError(
                f"{self.at(at)}: predict must be below {dataset.num_classes}, the classes of "
                f"{dataset.reference}, got {c.prediction[at]}; give the data set of the log."
            )
        known = {
            "data": dataset.reference,
            "data_fingerprint": dataset.fingerprint,
            "data_examples": total,
            "class_names": list(dataset.class_names),
            "num_classes": dataset.num_classes,
        }
        subset = _subset(np.sort(c.index), total)
        return known if subset is None else {**known, "subset": str(subset)}

    def at(self, position: int) -> str:
        """Where in its file an input stands, as the start of a message."""
        return place(self.source, int(self.columns.line[position]), self.unit)


def place(source: Path, line: int, unit: str = "line") -> str:
    """The start of a message about a line."""
    return f"{str(source)!r}, {unit} {line}"


def _subset(index: IntArray, total: int) -> Subset | None:
    """The subset that these inputs are, or the start of one; None if there is no such."""
    step = int(index[1] - index[0]) if len(index) > 1 else total
    if index[0] != 0 or np.any(np.diff(index) != step):
        return None
    if step > 1 or total == 1:
        return Subset("every", step) if total > 1 else Subset()
    return Subset() if len(index) == total else Subset("first", len(index))


def _positive(votes: IntArray) -> dict[int, float]:
    return {int(label): int(votes[label]) for label in np.flatnonzero(votes)}
