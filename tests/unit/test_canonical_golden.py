"""The golden vectors: whoever writes a verifier starts from them."""

import hashlib
import importlib.util
import json
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

from frame.canonical import canonical, canonical_row, restore

FOLDER = Path(__file__).parents[1] / "golden" / "canonical"
READERS = {
    "null": lambda _: None,
    "bool": bool,
    "int": int,
    "float": float.fromhex,
    "str": str,
    "decimal": Decimal,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "duration": lambda text: timedelta(microseconds=int(text)),
    "uuid": UUID,
    "bytes": bytes.fromhex,
    "list": lambda items: [read(item) for item in items],
    "object": lambda fields: {name: read(value) for name, value in fields},
}


def read(typed):
    kind, text = typed
    return READERS[kind](text)


def test_every_golden_vector_holds():
    vectors = [json.loads(line) for line in (FOLDER / "vectors.jsonl").read_text().splitlines()]

    assert len(vectors) >= 2000
    for vector in vectors:
        value, form = read(vector["value"]), vector["form"].encode()
        assert canonical(value) == form
        assert canonical_row({"x": value}) == b'{"x":' + form + b"}"
        assert hashlib.sha256(form).hexdigest() == vector["sha256"]
        assert canonical(restore(form)) == form


def test_the_vectors_are_what_their_script_makes():
    spec = importlib.util.spec_from_file_location("make_vectors", FOLDER / "make_vectors.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)

    assert "".join(script.lines()) == (FOLDER / "vectors.jsonl").read_text()
