"""What frame and plugins log, on stderr, one line an event whatever is in it."""

import logging

from frame.cli.output import say, visible
from frame.secrecy import PROCESS

LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)


class _Stderr(logging.Handler):
    """Looks up stderr at each event, for a progress table may stand in for it meanwhile."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; a traceback only follows where debugging was asked for."""
        text = f"{record.levelname.lower()}: {record.name}: {record.getMessage()}"
        if record.exc_info and self.level <= logging.DEBUG:
            text += " " + logging.Formatter().formatException(record.exc_info)
        say(visible(PROCESS.text(text)))


def logs_to_stderr(verbosity: int = 0) -> None:
    """Show warnings and worse; with `verbosity` 1 also information, with 2 everything."""
    level = LEVELS[min(verbosity, 2)]
    handler = _Stderr(level)
    root = logging.getLogger()
    root.handlers = [*(each for each in root.handlers if not isinstance(each, _Stderr)), handler]
    root.setLevel(level)
