"""Signatures, receipts and proofs are the same whatever database keeps the record."""

from pathlib import Path

import orjson
import pytest
from frame.operations import export, generate_key, prove, revoke_key, run, verify, verify_export, verify_proof

PIPELINE = """
frame: 1
name: signed
source: {plugin: csv, options: {path: in.csv}}
nodes: [{name: keep, gate: "row.n != 3", routes: {"true": continue, "false": discard}}]
sinks: {out: {plugin: jsonl, options: {path: out.jsonl}}}
settings: {chunk_rows: 50}
audit: {sign: frame.key}
"""


def test_a_signed_run_can_be_proven_from_any_store(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frame.audit.checkpoints.RECORDS", 1)
    (tmp_path / "in.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(200)), encoding="utf-8")
    (tmp_path / "pipeline.yaml").write_text(PIPELINE, encoding="utf-8")
    public = generate_key(tmp_path / "frame.key").public_file
    assert public is not None

    result = run(tmp_path / "pipeline.yaml", audit=store_url)

    assert result.receipt is not None
    receipt = Path(result.receipt.path)
    folder = receipt.parent if store_url.startswith("sqlite") else tmp_path / ".frame" / "receipts"
    assert receipt.parent == folder
    checked = verify(audit=store_url, anchors=[receipt], keys=[public])
    assert checked.ok, checked.all_findings
    assert checked.runs[0].anchored_blocks == checked.runs[0].blocks
    for which in ({"row": 3}, {"sink": "out", "index": 120}):
        path = tmp_path / "proof.json"
        path.write_bytes(orjson.dumps(prove(audit=store_url, **which)))
        assert verify_proof(path, [public], receipt).wrong == ""
    export(out=tmp_path / "run.jsonl", sign=tmp_path / "frame.key", audit=store_url)
    assert verify_export(tmp_path / "run.jsonl", public, receipt).wrong == ""
    revoke_key(public, "lost", store_url)
    assert verify(audit=store_url, anchors=[receipt], keys=[public]).ok
