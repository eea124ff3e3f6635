"""Static pages of a folder of runs: an index with filters, and a report of each run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from radii import rounding
from radii._version import __version__
from radii.errors import LedgerError, RadiiError
from radii.evaluation._stored import may_be_sqlite
from radii.evaluation.audit import classifier_of
from radii.evaluation.export import ENDINGS
from radii.evaluation.report.attack_pictures import AttackPicture
from radii.evaluation.report.attacks import AttackSummary
from radii.evaluation.report.caveats import of_group
from radii.evaluation.report.columns import columns_of
from radii.evaluation.report.html import as_html, page
from radii.evaluation.report.pictures import Picture
from radii.evaluation.report.reading import AttackedRun, CertifiedRun, read
from radii.evaluation.report.report import Report
from radii.evaluation.report.summary import Summary
from radii.evaluation.report.text import encoded
from radii.models.checkpoint import replace_file

Pictures = tuple[Mapping[str, Sequence[Picture]], Mapping[str, Sequence[AttackPicture]]]


@dataclass(frozen=True)
class Unreadable:
    """A file that looks like a run and cannot be reported.

    Attributes:
        path: Of the file.
        why: What is wrong with it.
    """

    path: Path
    why: str


@dataclass(frozen=True)
class Entry:
    """A line of the index.

    Attributes:
        name: Of the run: its path in the folder.
        link: From the index to its page.
        run: The run in numbers.
        filters: What it is chosen by: `noise`, `sigma`, `objective` and `n`.
        search: All of it in small letters, for a search.
    """

    name: str
    link: str
    run: Summary | AttackSummary
    filters: Mapping[str, str]
    search: str


def find_runs(places: Iterable[Path]) -> list[Path]:
    """The files that look like ledgers or exports, those in folders and their folders included.

    A file that is named itself is always taken.
    """
    found: dict[Path, None] = {}
    for place in places:
        if place.is_dir():
            found.update(dict.fromkeys(each for each in sorted(place.rglob("*")) if _may_be(each)))
        else:
            found[place] = None
    return list(found)


def read_runs(
    paths: Iterable[Path],
) -> tuple[list[CertifiedRun | AttackedRun], list[Unreadable]]:
    """The runs in files, and the files that hold none that can be reported."""
    runs, unreadable = [], []
    for path in paths:
        try:
            runs.append(read(path))
        except (RadiiError, OSError, ValueError) as error:
            unreadable.append(Unreadable(path, str(error)))
    return runs, unreadable


def write_site(
    runs: Sequence[CertifiedRun | AttackedRun],
    out: Path,
    *,
    unreadable: Sequence[Unreadable] = (),
    radii: Sequence[float] | None = None,
    pictures: Callable[[Report], Pictures] | None = None,
    on_page: Callable[[int, int], None] | None = None,
) -> Path:
    """Writes `index.html` and a page a run; nothing else in the folder is touched.

    Each page appears whole: whoever reads finds the old one or the new one.

    The page of a certified run also has the attack runs of its classifier, and that of an attack
    run the certified ones.

    Args:
        runs: At least one.
        out: The folder; made where it is not there.
        unreadable: Files to name as such.
        radii: Where accuracies are tabulated.
        pictures: From the report of a page to the inputs to show on it; none by default.
        on_page: Told of each page: how many are written, of how many.

    Returns:
        The path of the index.
    """
    if not runs:
        raise LedgerError("a results browser needs at least one run that can be read, got none.")
    whole = Report.of_read(runs, radii, bootstrap=False)
    names = _names([run.run for run in runs])
    links = dict(zip((id(run) for run in runs), _links(names), strict=True))
    (out / "runs").mkdir(parents=True, exist_ok=True)
    for written, run in enumerate(runs, start=1):
        beside = [run, *_partners(run, runs)]
        report = Report.of_read(beside, radii, bootstrap=False)
        shown: Pictures = ({}, {}) if pictures is None else pictures(report)
        html = as_html(report, *shown, home="../index.html")
        replace_file(out / links[id(run)], encoded(html))
        if on_page is not None:
            on_page(written, len(runs))
    certified, attacked = iter(whole.summaries), iter(whole.attacks)
    entries = [
        _entry(
            name,
            links[id(run)],
            next(certified) if isinstance(run, CertifiedRun) else next(attacked),
        )
        for name, run in zip(names, runs, strict=True)
    ]
    index = out / "index.html"
    content = page(
        "site.html.j2",
        version=__version__,
        certified=[each for each in entries if isinstance(each.run, Summary)],
        attacked=[each for each in entries if isinstance(each.run, AttackSummary)],
        choices=_choices(entries),
        columns=columns_of(whole),
        groups=list(zip(whole.groups, whole.group_names, strict=True)),
        radii=rounding.exact(whole.radii),
        caveats=_caveats(whole),
        unreadable=unreadable,
    )
    replace_file(index, encoded(content))
    return index


def _may_be(path: Path) -> bool:
    """Whether a file in a folder looks like a run: by its first bytes, or by its ending."""
    if not path.is_file() or path.name.startswith("."):
        return False
    try:
        return path.suffix.lower() in ENDINGS or (path.stat().st_size > 0 and may_be_sqlite(path))
    except OSError:
        return False


def _partners(
    run: CertifiedRun | AttackedRun, runs: Sequence[CertifiedRun | AttackedRun]
) -> Iterator[CertifiedRun | AttackedRun]:
    """The runs of the other kind that are of the same smoothed classifier."""
    own = classifier_of(run.meta)
    for other in runs:
        if type(other) is not type(run) and own is not None and classifier_of(other.meta) == own:
            yield other


def _names(paths: Sequence[str]) -> list[str]:
    """The paths without the folders that all of them have in common."""
    parts = [Path(path).parts for path in paths]
    shared = 0
    while all(len(each) > shared + 1 for each in parts) and (
        len({each[shared] for each in parts}) == 1
    ):
        shared += 1
    return [Path(*each[shared:]).as_posix() for each in parts]


def _links(names: Sequence[str]) -> list[str]:
    """A page for each run, with a name that any file system and address takes."""
    links: list[str] = []
    taken: set[str] = set()
    for name in names:
        stem = re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-.") or "run"
        unique, count = stem, 1
        while unique.lower() in taken:
            count += 1
            unique = f"{stem}-{count}"
        taken.add(unique.lower())
        links.append(f"runs/{unique}.html")
    return links


def _entry(name: str, link: str, run: Summary | AttackSummary) -> Entry:
    filters = {
        "noise": run.noise.partition(":")[0],
        "sigma": _parameter(run.noise, "sigma"),
        "objective": str((run.meta.get("base_training") or {}).get("objective", "")),
        "n": f"{run.n:,}",
    }
    said: list[Any] = [name, run.noise, run.norm, filters["objective"]]
    said += [run.meta.get(key, "") for key in ("base", "data", "subset", "created", "device_name")]
    said += [run.attack] if isinstance(run, AttackSummary) else [run.certificate, run.bound]
    return Entry(name, link, run, filters, " ".join(map(str, said)).lower())


def _parameter(spec: str, name: str) -> str:
    """The value of a parameter of a spec; empty if it has none of that name."""
    found = re.search(rf"[:,(]{name}=([^,)]+)", spec)
    return found[1] if found else ""


def _choices(entries: Sequence[Entry]) -> dict[str, list[str]]:
    """What each filter can be set to; filters without a choice are left out."""
    choices = {}
    for key in ("noise", "sigma", "objective", "n"):
        values = {entry.filters[key] for entry in entries} - {""}
        if len(values) > 1:
            choices[key] = sorted(values, key=_natural)
    return choices


def _natural(text: str) -> tuple[float, str]:
    try:
        return float(text.replace(",", "")), text
    except ValueError:
        return float("inf"), text


def _caveats(report: Report) -> list[str]:
    """Those that are about runs beside each other; what is about one run is on its page."""
    grows = "ACR grows with n, so compare it at equal n only."
    between = [each for each in report.caveats if each.startswith("The runs ")]
    between += [sentence for group in report.groups for sentence in of_group(group)]
    return between + [grows] * any(each.startswith(grows) for each in report.caveats)
