"""A run as a W3C PROV document in PROV-JSON: which token came of which, by which node, in which run.

Tokens, batches, inputs and artifacts are entities, nodes are activities that the run started, and the code behind
them are agents. The members of a batch, and what a sink took, are collections: so the document grows with the run
and not with its square.
"""

from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from sqlalchemy import select

from frame.audit import schema
from frame.audit.export.datasets import read_by, written_by
from frame.audit.export.outcomes import outcomes
from frame.audit.export.source import RunRecord
from frame.audit.export.tokens import token_parents, tokens
from frame.audit.export.visits import batch_members, batch_outputs
from frame.audit.signing import PrivateKey
from frame.canonical import canonical
from frame.clock import as_datetime

VOCABULARY = "urn:frame:prov:"
Statement = tuple[str, dict[str, Any]]


def write(record: RunRecord, file: BinaryIO, key: PrivateKey | None = None) -> None:
    """Write the document, section by section. It says nothing of `key`: the signature is in the manifest."""
    prefixes = {"frame": VOCABULARY, "run": f"urn:uuid:{record.run_id}#"}
    if record.origin_run_id is not None:
        prefixes["origin"] = f"urn:uuid:{record.origin_run_id}#"
    file.write(b'{"prefix":' + canonical(prefixes))
    for name, section in _SECTIONS.items():
        file.write(b',\n"%b":{' % name.encode())
        between = b"\n"
        for identifier, said in section(record):
            there = {key: value for key, value in said.items() if value is not None}
            file.write(between + canonical(identifier) + b":" + canonical(there))
            between = b",\n"
        file.write(b"\n}")
    file.write(b"\n}\n")


def _type(name: str) -> dict[str, str]:
    return {"$": name, "type": "prov:QUALIFIED_NAME"}


def _token(token: object) -> str:
    return f"run:token-{token}"


def _origin(token: object) -> str:
    """The token of another run that one of this carries on."""
    return f"origin:token-{token}"


def _node(number: int) -> str:
    return f"run:node-{number}"


def _moment(time_us: int | None) -> str | None:
    return None if time_us is None else as_datetime(time_us).isoformat().replace("+00:00", "Z")


def _numbered(relations: Iterator[dict[str, Any]], letter: str) -> Iterator[Statement]:
    return ((f"_:{letter}{number}", relation) for number, relation in enumerate(relations))


# --- Entities, activities, agents -----------------------------------------------------------------------------


def _entities(record: RunRecord) -> Iterator[Statement]:
    h = schema.run_headers.c
    header = record.connection.execute(select(h.config_sha256).where(h.run == record.run)).one()
    yield "run:config", {"prov:type": _type("prov:Plan"), "frame:sha256": header.config_sha256.hex()}
    for name, datasets in (("input", read_by(record)), ("artifact", written_by(record))):
        for number, each in enumerate(datasets):
            size = {"frame:rows": each.rows, "frame:size_bytes": each.size_bytes}
            yield f"run:{name}-{number}", {"prov:location": each.uri, **size, "frame:sha256": each.sha256}
    for node in record.nodes:
        if node.kind == "sink":
            collection = {"prov:type": _type("prov:Collection"), "prov:label": f"rows that {node.name} took"}
            yield f"run:taken-{node.node}", collection
    for batch in _batches(record):
        yield f"run:batch-{batch}", {"prov:type": _type("prov:Collection")}
    for token in tokens(record):
        said = {"frame:row": token["row"], "frame:sha256": token["digest"]}
        yield _token(token["token"]), {"prov:type": _type("frame:Token"), **said}
        if token["origin_token"] is not None:
            yield _origin(token["origin_token"]), {"prov:type": _type("frame:Token")}


def _batches(record: RunRecord) -> Iterator[int]:
    s = schema.segments.c
    mine = s.run == record.run, s.batch.is_not(None), s.kind == "buffered"
    return (row.batch for row in record.stream(select(s.batch).where(*mine).distinct().order_by(s.batch)))


def _activities(record: RunRecord) -> Iterator[Statement]:
    h, c = schema.run_headers.c, schema.run_changes.c
    started = record.connection.scalar(select(h.started_us).where(h.run == record.run))
    ended = select(c.at_us).where(c.run == record.run, c.status != "running").order_by(c.number.desc())
    ended_us = None if record.status == "running" else record.connection.scalar(ended.limit(1))
    times = {"prov:startTime": _moment(started), "prov:endTime": _moment(ended_us)}
    yield "run:run", {"prov:type": _type("frame:Run"), **times, "frame:status": record.status}
    for node in record.nodes:
        said = {"prov:label": node.name, "frame:kind": node.kind, "frame:determinism": node.determinism}
        yield _node(node.node), {"prov:type": _type("frame:Node"), **said}


def _agents(record: RunRecord) -> Iterator[Statement]:
    h = schema.run_headers.c
    found = select(h.frame_version, h.python_version).where(h.run == record.run)
    header = record.connection.execute(found).one()
    software = _type("prov:SoftwareAgent")
    versions = {"frame:version": header.frame_version, "frame:python": header.python_version}
    yield "run:frame", {"prov:type": software, "prov:label": "frame", **versions}
    for node in record.nodes:
        if node.plugin is not None:
            said = {"frame:distribution": node.distribution, "frame:version": node.version}
            label = {"prov:label": f"{node.package}.{node.plugin}", "frame:record_sha256": node.record_sha256}
            yield f"run:plugin-{node.node}", {"prov:type": software, **label, **said}


# --- Relations ------------------------------------------------------------------------------------------------


def _generations(record: RunRecord) -> Iterator[dict[str, Any]]:
    numbers = {node.name: node.node for node in record.nodes}
    for number, each in enumerate(written_by(record)):
        yield {"prov:entity": f"run:artifact-{number}", "prov:activity": _node(each.node)}
    for token in tokens(record):
        at = _node(numbers[str(token["node"])])
        yield {"prov:entity": _token(token["token"]), "prov:activity": at}


def _uses(record: RunRecord) -> Iterator[dict[str, Any]]:
    for number, each in enumerate(read_by(record)):
        yield {"prov:activity": _node(each.node), "prov:entity": f"run:input-{number}"}


def _derivations(record: RunRecord) -> Iterator[dict[str, Any]]:
    for number, each in enumerate(written_by(record)):
        yield _derived(f"run:artifact-{number}", f"run:taken-{each.node}")
    inputs = [f"run:input-{number}" for number, each in enumerate(read_by(record)) if each.node == 0]
    for token in tokens(record):
        if token["origin"] == "source":
            for each_input in inputs:
                yield _derived(_token(token["token"]), each_input)
        elif token["origin_token"] is not None:
            yield _derived(_token(token["token"]), _origin(token["origin_token"]))
    for parent in token_parents(record):
        yield _derived(_token(parent["token"]), _token(parent["parent"]))
    for output in batch_outputs(record):
        yield _derived(_token(output["token"]), f"run:batch-{output['batch']}")


def _derived(made: str, of: str) -> dict[str, Any]:
    return {"prov:generatedEntity": made, "prov:usedEntity": of}


def _associations(record: RunRecord) -> Iterator[dict[str, Any]]:
    yield {"prov:activity": "run:run", "prov:agent": "run:frame", "prov:plan": "run:config"}
    for node in record.nodes:
        agent = "run:frame" if node.plugin is None else f"run:plugin-{node.node}"
        yield {"prov:activity": _node(node.node), "prov:agent": agent}


def _starts(record: RunRecord) -> Iterator[dict[str, Any]]:
    for node in record.nodes:
        yield {"prov:activity": _node(node.node), "prov:starter": "run:run"}


def _memberships(record: RunRecord) -> Iterator[dict[str, Any]]:
    for member in batch_members(record):
        yield {"prov:collection": f"run:batch-{member['batch']}", "prov:entity": _token(member["token"])}
    numbers = {node.name: node.node for node in record.nodes}
    for end in outcomes(record):
        # A row that one sink refused and another took is in the other one.
        taken_by = end.get("fallback") or (end.get("sink") if end["path"] != "sink_rejected" else None)
        if taken_by is not None:
            collection = f"run:taken-{numbers[str(taken_by)]}"
            yield {"prov:collection": collection, "prov:entity": _token(end["token"])}


_SECTIONS: dict[str, Callable[[RunRecord], Iterator[Statement]]] = {
    "entity": _entities,
    "activity": _activities,
    "agent": _agents,
    "wasGeneratedBy": lambda record: _numbered(_generations(record), "g"),
    "used": lambda record: _numbered(_uses(record), "u"),
    "wasStartedBy": lambda record: _numbered(_starts(record), "s"),
    "wasDerivedFrom": lambda record: _numbered(_derivations(record), "d"),
    "wasAssociatedWith": lambda record: _numbered(_associations(record), "a"),
    "hadMember": lambda record: _numbered(_memberships(record), "m"),
}
