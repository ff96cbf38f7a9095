"""`frame` without what makes a run recoverable and its record provable: for measuring what these cost.

    python unproven.py run --quiet pipeline.yaml

No block is hashed, nothing is kept of what sinks are to get, and no sink is made durable before it confirms.
"""

import sys

from frame.audit import chain
from frame.cli.main import main
from frame.engine import commits
from frame.engine.executors import sink
from frame.events import PayloadKind

_NOTHING = {"runs": 0}, [b"\0" * 32]


def _write(plugin, rows, key):
    return tuple(plugin.write(rows, key) or ()), None


def _without_outbox(kind, node, keys, items, **rest):
    if kind is PayloadKind.OUTBOX:
        keys, items, rest = (), (), {"intent": rest["intent"]}
    return _payloads(kind, node, keys, items, **rest)


_payloads = commits.Payloads
chain.block_leaves = lambda run_id, rows: _NOTHING
commits.Payloads = _without_outbox
sink._write = _write
sys.exit(main(sys.argv[1:]))
