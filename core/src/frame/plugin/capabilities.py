"""What a plugin says it does besides its work. Nothing here has a default: its author has to say it.

frame holds a plugin to what it says: what is not declared is refused by the context, and found by certification.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """What a plugin reaches beyond the rows and options that it is given.

    `network`: it opens connections. `process`: it starts programs. `filesystem`: it reads or writes files.
    `clock`: it asks what time it is. `random`: it draws random numbers.
    """

    network: bool
    process: bool
    filesystem: bool
    clock: bool
    random: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """How a plugin may be used.

    `batch`: it does better with many rows in one call. `stateful`: what it gives for a row depends on rows before.
    `ordered`: what it gives is in the order of what it got. `idempotent`: doing the same work again, under the same
    key, changes nothing. `thread_safe`: calls to one instance may overlap. `personal_data`: it is made to read or
    keep what identifies a person.
    """

    effects: Effects
    batch: bool
    stateful: bool
    ordered: bool
    idempotent: bool
    thread_safe: bool
    personal_data: bool

    def facts(self) -> Mapping[str, bool]:
        """Each thing that is said, by its name; `effects.network` and so on for the effects."""
        said = asdict(self)
        effects = said.pop("effects")
        return {**{f"effects.{name}": value for name, value in effects.items()}, **said}
