"""Seals: a small JSON file that says what a run claims, and holds hashes of all it rests on.

A seal is verified with the run alone, on any machine. Signed, it also shows who made it.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from radii.data import Subset
from radii.errors import LedgerError, RadiiError
from radii.evaluation import Outcomes, Row, open_run
from radii.evaluation.checksums import canonical, content_hash
from radii.evaluation.metrics import average_certified_radius, certified_shares, radius_grid
from radii.models.checkpoint import replace_file
from radii.provenance import versions
from radii.rounding import complement, exact, floored, percent_floored
from radii.verification.keys import public_of, sign, signed_by
from radii.verification.result import Check
from radii.verification.stored import COLUMNS, Stored, read

FORMAT = "radii-seal/1"


def seal(path: Path | str, out: Path, *, private_key: Path | None = None) -> dict[str, Any]:
    """Writes the seal of a run.

    Args:
        path: A ledger of `radii certify` or `radii import`, or an export of one.
        out: The seal; there must be none yet.
        private_key: Signs it; a PEM file.

    Returns:
        What was written.

    Raises:
        LedgerError: If there is no run, or it holds nothing, or cannot be read whole.
        ValueError: If `out` exists, or the key is none.
        RadiiError: If it is to be signed and `cryptography` is not installed.
    """
    if out.exists():
        raise ValueError(f"a seal must be a new file, and {str(out)!r} exists; choose another")
    stored = read(open_run(path))
    if stored.broken or not stored.rows:
        why = stored.broken[0] if stored.broken else "it holds no input"
        raise LedgerError(f"{str(path)!r} cannot be sealed: {why}.")
    content: dict[str, Any] = {
        "format": FORMAT,
        "claim": claim(stored.meta, stored.rows),
        "spec": json.loads(json.dumps(dict(stored.meta))),
        "hashes": _hashes(stored),
        "versions": versions(),
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    if private_key is not None:
        content["signature"] = sign(signed_content(content), private_key)
    replace_file(out, f"{json.dumps(content, indent=2)}\n".encode())
    return content


def signed_content(content: Mapping[str, Any]) -> bytes:
    """What a signature is about: all of a seal but the signature, as canonical JSON."""
    return canonical({key: content[key] for key in content if key != "signature"}).encode()


def claim(meta: Mapping[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
    """What a run claims: in words, and in numbers that are rounded down."""
    outcomes = Outcomes.of(rows)
    grid = radius_grid([outcomes])
    shares = certified_shares(outcomes, np.array(grid, dtype=np.float64))
    total = _wanted(meta)
    domain = f" that is {meta['domain']}" if meta.get("domain") else ""
    sure = complement(meta["alpha"])
    of = f" of {total:,}" if total is not None and total != len(outcomes) else ""
    sentence = (
        f"For each of {len(outcomes):,}{of} inputs, with probability at least {sure} over the "
        f"noise drawn: the classifier smoothed with {meta['noise']} answers the class stated, "
        f"where one is, at every point{domain} closer to the input in {meta['norm']} than the "
        f"radius stated."
    )
    if meta.get("imported"):
        sentence += " The radii were published by others, and their votes are not known."
    return {
        "sentence": sentence,
        "inputs": len(outcomes),
        "inputs_wanted": total,
        "alpha": repr(meta["alpha"]),
        "norm": meta["norm"],
        "average_certified_radius": floored(average_certified_radius(outcomes), 6),
        "certified_accuracy_percent": {
            radius: percent_floored(float(share))
            for radius, share in zip(exact(grid), shares.tolist(), strict=True)
        },
    }


def check_seal(stored: Stored, path: Path, public_key: Path | None) -> Iterator[Check]:
    """Whether a run is the one that a seal is about, and who signed the seal."""
    try:
        content = json.loads(path.read_text("utf-8"))
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
    except (OSError, ValueError) as error:
        yield Check("seal", "failed", f"{str(path)!r} is no seal: {error}")
        return
    yield _content(stored, content)
    yield _signature(content, public_key)


def _content(stored: Stored, content: Mapping[str, Any]) -> Check:
    if stored.broken:
        return Check("seal", "failed", f"the run cannot be read whole: {stored.broken[0]}")
    problems = []
    try:
        hashes = _hashes(stored)
    except (OverflowError, TypeError, ValueError) as error:
        return Check("seal", "failed", f"the run cannot be hashed: {error}")
    said = content.get("hashes")
    for key, value in hashes.items():
        if not isinstance(said, dict) or said.get(key) != value:
            problems.append(f"the hash of the {key} is another than that in the seal")
    if content.get("spec") != json.loads(json.dumps(dict(stored.meta))):
        problems.append("the spec of the run is another than that in the seal")
    if not stored.rows or content.get("claim") != claim(stored.meta, stored.rows):
        problems.append("the run does not give the claim in the seal")
    return Check.of("seal", problems, f"it is about this run, sealed {content.get('time')}")


def _signature(content: Mapping[str, Any], public_key: Path | None) -> Check:
    name, signature = "signature of the seal", content.get("signature")
    if signature is None:
        if public_key is not None:
            return Check(name, "failed", "the seal is not signed")
        return Check(
            name, "not checked", "the seal is not signed, so that anybody can have made it"
        )
    wanted = None if public_key is None else public_of(public_key)
    try:
        own, made = str(signature["public_key"]), str(signature["signature"])
        valid = signed_by(signed_content(content), made, own)
    except RadiiError as error:
        if public_key is not None:
            raise
        return Check(name, "not checked", str(error))
    except (KeyError, TypeError):
        return Check(name, "failed", "the signature is not one of Ed25519")
    if wanted is not None and own != wanted:
        return Check(name, "failed", f"the seal names the key {own[:16]}..., not {wanted[:16]}...")
    if not valid:
        return Check(name, "failed", "the seal was changed after it was signed")
    if wanted is None:
        note = "whose key that is must be known from elsewhere: give --public-key"
        return Check(name, "passed", f"signed by the key {own[:16]}...", (note,))
    return Check(name, "passed", f"signed by the key given, {own[:16]}...")


def _hashes(stored: Stored) -> dict[str, Any]:
    return {
        "ledger": content_hash(COLUMNS, stored.meta, stored.cells),
        "base": stored.meta.get("base_sha256"),
        "data": stored.meta.get("data_fingerprint"),
    }


def _wanted(meta: Mapping[str, Any]) -> int | None:
    """How many inputs the run should have."""
    total, subset = meta.get("data_examples"), meta.get("subset")
    if total is None or subset is None:
        return None
    return len(Subset.parse(subset).indices(total))
