from __future__ import annotations

import json
import os
import stat

import pytest

from radii.errors import LedgerError, RadiiError
from radii.evaluation import Ledger, write_export
from radii.verification import new_key, seal, verify
from radii.verification.seals import signed_content
from tests.unit.verification.runs import certified, check, edited, resealed_rows, set_meta, status

SIGNATURE = "signature of the seal"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return certified(tmp_path_factory.mktemp("run") / "run.sqlite")


@pytest.fixture
def copy(run, tmp_path):
    path = tmp_path / "copy.sqlite"
    path.write_bytes(run.read_bytes())
    return path


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    pytest.importorskip("cryptography", reason="cryptography is not installed")
    path = tmp_path_factory.mktemp("keys") / "key.pem"
    new_key(path)
    return path


def test_a_seal_says_what_the_run_claims(run, tmp_path):
    content = seal(run, tmp_path / "seal.json")
    assert json.loads((tmp_path / "seal.json").read_text()) == content
    claim = content["claim"]
    assert claim["inputs"] == claim["inputs_wanted"] == 8
    assert "probability at least 0.999" in claim["sentence"]
    assert content["hashes"]["base"] == "00ff"
    correct = [row.radius for row in Ledger(run).rows() if row.prediction == row.label]
    acr = sum(correct) / 8
    assert (
        float(claim["average_certified_radius"])
        <= acr
        < (float(claim["average_certified_radius"]) + 1e-6)
    )
    found = verify(run, seal=tmp_path / "seal.json")
    assert found.passed
    assert status(found, "seal") == "passed"
    assert status(found, SIGNATURE) == "not checked"


def test_an_export_has_the_seal_of_its_run(run, tmp_path):
    seal(run, tmp_path / "seal.json")
    write_export(Ledger(run), tmp_path / "out.csv")
    found = verify(tmp_path / "out.csv", seal=tmp_path / "seal.json")
    assert found.passed
    assert status(found, "row checksums") == status(found, "seal") == "passed"


def test_a_copy_with_other_pages_has_the_same_seal(copy, tmp_path):
    seal(copy, tmp_path / "seal.json")
    before = copy.read_bytes()
    edited(copy, "CREATE TABLE more (x)")
    assert copy.read_bytes() != before
    assert verify(copy, seal=tmp_path / "seal.json").passed


@pytest.mark.parametrize(
    ("column", "value"), [("radius", 0.001), ("seconds", 1.0), ("n_votes", '{"0": 400}')]
)
def test_an_edit_is_found_whose_checksums_are_right(copy, tmp_path, column, value):
    seal(copy, tmp_path / "seal.json")
    edited(copy, f'UPDATE inputs SET {column} = ? WHERE "index" = 2', value)
    resealed_rows(copy)
    found = verify(copy, seal=tmp_path / "seal.json")
    assert status(found, "row checksums") == "passed"
    assert status(found, "seal") == "failed"


def test_a_deleted_row_and_another_spec_are_found(copy, tmp_path):
    seal(copy, tmp_path / "seal.json")
    edited(copy, 'DELETE FROM inputs WHERE "index" = 5')
    assert "hash of the ledger" in check(verify(copy, seal=tmp_path / "seal.json"), "seal").said
    set_meta(copy, "device_name", "another")
    found = verify(copy, seal=tmp_path / "seal.json")
    assert status(found, "seal") == status(found, "row checksums") == "failed"


@pytest.mark.parametrize("signed", [False, True])
def test_a_changed_seal_is_found(run, tmp_path, signed, request):
    path = tmp_path / "seal.json"
    private = request.getfixturevalue("key") if signed else None
    content = seal(run, path, private_key=private)
    content["claim"]["average_certified_radius"] = "9.000000"
    path.write_text(json.dumps(content))
    found = verify(run, seal=path)
    assert status(found, "seal") == "failed"
    assert status(found, SIGNATURE) == ("failed" if signed else "not checked")
    content = json.loads(path.read_text()) | {"time": "2001-01-01T00:00:00+00:00"}
    content["claim"] = seal(run, tmp_path / "other.json")["claim"]
    path.write_text(json.dumps(content))
    found = verify(run, seal=path)
    assert status(found, "seal") == "passed"
    assert status(found, SIGNATURE) == ("failed" if signed else "not checked")


def test_who_signed_is_known_by_the_key(run, tmp_path, key):
    path = tmp_path / "seal.json"
    seal(run, path, private_key=key)
    public = key.with_name("key.pem.pub")
    found = verify(run, seal=path, public_key=public)
    assert found.passed
    assert status(found, SIGNATURE) == "passed"
    assert check(verify(run, seal=path), SIGNATURE).notes
    other = new_key(tmp_path / "other.pem")
    assert status(verify(run, seal=path, public_key=other), SIGNATURE) == "failed"
    seal(run, tmp_path / "unsigned.json")
    found = verify(run, seal=tmp_path / "unsigned.json", public_key=public)
    assert status(found, SIGNATURE) == "failed"


def test_the_signed_bytes_are_as_documented(run, tmp_path, key):
    from cryptography.hazmat.primitives import serialization

    content = seal(run, tmp_path / "seal.json", private_key=key)
    signature = content.pop("signature")
    signed = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    assert signed == signed_content(content)
    public = serialization.load_pem_public_key(key.with_name("key.pem.pub").read_bytes())
    public.verify(bytes.fromhex(signature["signature"]), signed)


def test_keys_are_private_and_never_overwritten(tmp_path, key):
    if os.name == "posix":
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_bytes()
    with pytest.raises(ValueError, match="must be a new file"):
        new_key(key)
    (tmp_path / "half.pub").write_text("mine")
    with pytest.raises(ValueError, match="must be a new file"):
        new_key(tmp_path / "half")
    assert key.read_bytes() == before
    assert not (tmp_path / "half").exists()


def test_what_cannot_be_sealed(run, copy, tmp_path, key):
    seal(run, tmp_path / "seal.json")
    with pytest.raises(ValueError, match="must be a new file"):
        seal(run, tmp_path / "seal.json")
    with pytest.raises(ValueError, match="is no key in PEM"):
        seal(run, tmp_path / "more.json", private_key=run)
    with pytest.raises(ValueError, match=r"must be a private Ed25519 key|is no key in PEM"):
        seal(run, tmp_path / "more.json", private_key=key.with_name("key.pem.pub"))
    edited(copy, "UPDATE inputs SET n_votes = '{' WHERE \"index\" = 1")
    with pytest.raises(LedgerError, match="cannot be sealed: input 1 cannot be read"):
        seal(copy, tmp_path / "more.json")
    assert not (tmp_path / "more.json").exists()
    with pytest.raises(ValueError, match="give the seal, too"):
        verify(run, public_key=key.with_name("key.pem.pub"))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "radii-seal/9"}'])
def test_what_is_no_seal(run, tmp_path, text):
    (tmp_path / "seal.json").write_text(text)
    found = verify(run, seal=tmp_path / "seal.json")
    assert status(found, "seal") == "failed"


@pytest.mark.parametrize("signature", [7, {}, {"public_key": "zz", "signature": "zz"}])
def test_what_is_no_signature(run, tmp_path, key, signature):
    content = seal(run, tmp_path / "seal.json", private_key=key)
    (tmp_path / "seal.json").write_text(json.dumps({**content, "signature": signature}))
    assert status(verify(run, seal=tmp_path / "seal.json"), SIGNATURE) == "failed"


def test_without_cryptography_the_extra_is_named(run, tmp_path, key, monkeypatch):
    seal(run, tmp_path / "seal.json", private_key=key)
    for name in ("", ".hazmat.primitives.serialization", ".hazmat.primitives.asymmetric.ed25519"):
        monkeypatch.setitem(__import__("sys").modules, f"cryptography{name}", None)
    said = r'radii\[seal\] is not installed: pip install "radii\[seal\]"'
    with pytest.raises(RadiiError, match=said):
        seal(run, tmp_path / "more.json", private_key=key)
    found = verify(run, seal=tmp_path / "seal.json")
    assert status(found, SIGNATURE) == "not checked"
    assert "radii[seal]" in check(found, SIGNATURE).said
