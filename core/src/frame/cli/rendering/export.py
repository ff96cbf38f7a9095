"""What a user is told about an export."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from frame.operations.export import Exported


def told(done: "Exported") -> Iterator[str]:
    """Where it is, what it is not, and how it is verified."""
    yield f"{done.path}: run {done.run_id} as {done.format}"
    if not done.has_ended:
        yield "The run has no end on record: it is under way or was cut off. The export has what was committed."
    if not done.is_chained:
        yield "The run began before frame chained what it commits: the export can be read, and proves nothing."
    if done.key is None:
        yield "It is not signed (--sign KEY): it proves that it agrees with itself, and not who wrote it."
    else:
        yield f"Signed. Hand the public key over by another way than the export: {done.key}"
    if done.verifier is not None:
        yield f"{done.verifier} verifies it with nothing but Python."
