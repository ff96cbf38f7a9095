"""The hooks that a plugin package may implement, in the module that its `frame.plugins` entry point names.

Each hook takes no argument and returns a list of plugin classes, or of strings `"module:Class"` that are
imported when the plugin is chosen.

    from frame.plugin import hookimpl

    @hookimpl
    def frame_transforms():
        return ["frame_acme.clean:Clean"]

A module that depends on the plugin API says so, and is then reported as incompatible where it would fail
somewhere: `FRAME_API = 2`, or `FRAME_API = (1, 2)` for the oldest and the newest that it can work with.
"""

from collections.abc import Sequence

import pluggy

PROJECT = "frame"
ENTRY_POINT_GROUP = "frame.plugins"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

Offered = Sequence[type | str]


@hookspec
def frame_sources() -> Offered:  # type: ignore[empty-body]
    """Source plugins of this package."""


@hookspec
def frame_transforms() -> Offered:  # type: ignore[empty-body]
    """Transform plugins of this package."""


@hookspec
def frame_gates() -> Offered:  # type: ignore[empty-body]
    """Gate plugins of this package."""


@hookspec
def frame_aggregations() -> Offered:  # type: ignore[empty-body]
    """Aggregation plugins of this package."""


@hookspec
def frame_sinks() -> Offered:  # type: ignore[empty-body]
    """Sink plugins of this package."""


@hookspec
def frame_secret_providers() -> Offered:  # type: ignore[empty-body]
    """Where secrets are fetched from: subclasses of SecretProvider."""


@hookspec
def frame_backends() -> Offered:  # type: ignore[empty-body]
    """Where work runs."""


@hookspec
def frame_listeners() -> Offered:  # type: ignore[empty-body]
    """Who hears a run's events, after the commit that they are in."""


@hookspec
def frame_payload_stores() -> Offered:  # type: ignore[empty-body]
    """Where payload bytes are kept when not in the audit database."""
