"""What a plugin of this package does besides its work: nothing, but for what it says itself."""

from frame.plugin import Capabilities, Effects

NO_EFFECTS = Effects(network=False, process=False, filesystem=False, clock=False, random=False)
PURE = Capabilities(
    effects=NO_EFFECTS,
    batch=False,
    stateful=False,
    ordered=True,
    idempotent=True,
    thread_safe=True,
    personal_data=False,
)
ANYTHING = Effects(network=True, process=True, filesystem=True, clock=True, random=True)
