"""Writes all generated pages."""

import shutil
from pathlib import Path

from tools.reference import PAGES

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference" / "generated"

if __name__ == "__main__":
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")
