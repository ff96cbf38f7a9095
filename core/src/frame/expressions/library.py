"""The CEL library, without the command line that it brings along.

The package's `__init__` imports that command line, and with it typer, rich and prompt_toolkit: 0.15 s for every
process that evaluates an expression. What frame needs is its compiled module, which is loaded by itself.
"""

import importlib.util
import sys
import threading
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from pathlib import Path
from types import ModuleType

MODULE = "cel.cel"
_lock = threading.Lock()


def library() -> ModuleType:
    """The compiled module of common-expression-language. Raises ImportError if it is not installed."""
    module = sys.modules.get(MODULE)
    if module is None:
        with _lock:
            module = sys.modules.get(MODULE) or _load()
    return module


def _load() -> ModuleType:
    found = importlib.util.find_spec("cel")
    folders = [] if found is None else found.submodule_search_locations or []
    candidates = (Path(folder, f"cel{suffix}") for folder in folders for suffix in EXTENSION_SUFFIXES)
    extension = next((path for path in candidates if path.exists()), None)
    if extension is None:
        return importlib.import_module(MODULE)
    loader = ExtensionFileLoader(MODULE, str(extension))
    spec = importlib.util.spec_from_file_location(MODULE, extension, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    # It cannot be loaded twice in one process: whoever imports the package later gets this one.
    sys.modules[MODULE] = module
    return module
