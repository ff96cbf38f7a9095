"""The page of all errors."""

from frame import errors

from tools.reference.markdown import docstring


def page() -> str:
    """The tree of errors, and what each says about itself."""
    raised = [
        thing
        for thing in vars(errors).values()
        if isinstance(thing, type)
        and issubclass(thing, errors.FrameError)
        and thing.__module__ == errors.__name__
    ]
    sections = [f"## {error.__name__}\n\n{docstring(error)}" for error in raised]
    return "\n\n".join(["# Errors", docstring(errors), *sections]) + "\n"
