"""Paths in a plugin's options: relative ones start at the pipeline's folder, wherever frame is called from."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo

FOLDER = "folder"
"""Under this key the validation context of a plugin's options has the folder of the pipeline file."""


def beside_pipeline(path: str, info: ValidationInfo) -> str:
    """`path` made absolute from the pipeline's folder. URLs, "-" and paths in a pipeline without a folder stay."""
    folder = (info.context or {}).get(FOLDER)
    if folder is None or path == "-" or "://" in path:
        return path
    return str(Path(folder).resolve() / path)


PipelinePath = Annotated[str, AfterValidator(beside_pipeline)]
"""The type of an option that names a file; a plugin checks further with validators of its own."""
