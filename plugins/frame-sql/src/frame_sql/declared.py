"""What the plugins of this package do besides their work."""

from frame.plugin import Capabilities, Effects

DATABASE = Capabilities(
    effects=Effects(network=True, process=False, filesystem=True, clock=False, random=False),
    batch=True,
    stateful=False,
    ordered=True,
    idempotent=True,
    thread_safe=False,
    personal_data=False,
)
"""A server is reached over the network, SQLite is a file."""
