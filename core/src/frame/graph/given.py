"""Plugins that a pipeline built in code was given as they are, and which stay their owner's."""

from dataclasses import dataclass

from frame.graph.model import PluginRef
from frame.plugin.protocols import Plugin


@dataclass(frozen=True, slots=True)
class Given:
    """Hands over the plugin that a pipeline was built with, instead of making one."""

    plugin: Plugin

    def __call__(self) -> Plugin:
        return self.plugin


def is_given(ref: PluginRef) -> bool:
    """Whether `ref.build` hands over somebody's plugin, so that one who only asks it must not close it."""
    return isinstance(ref.build, Given)
