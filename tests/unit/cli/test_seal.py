import json

from radii.cli.main import run
from tests.unit.evaluation.ledgers import row, write


def test_the_folder_of_a_seal_is_made(tmp_path):
    ledger = write(tmp_path / "run.sqlite", [row(0)])
    out = tmp_path / "new" / "folder" / "seal.json"
    assert run(["seal", str(ledger), "--out", str(out)]) == 0
    assert "claim" in json.loads(out.read_text("utf-8"))
