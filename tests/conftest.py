"""What all tests share: how hard Hypothesis looks, and where the full data lies."""

import os
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent

# HYPOTHESIS_PROFILE=deep make test ARGS=tests/properties
settings.register_profile(
    "fast", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "ci", settings.get_profile("fast"), max_examples=100, derandomize=True, print_blob=True
)
settings.register_profile("deep", settings.get_profile("fast"), max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))


@pytest.fixture(scope="session")
def full_flights_zip() -> Path:
    """All 336,776 flights of 2013, zipped: `FRAME_FLIGHTS`, or flights.csv.zip in shared/data beside the checkout."""
    path = Path(os.environ.get("FRAME_FLIGHTS", ROOT.parent / "shared" / "data" / "flights.csv.zip"))
    if not path.is_file():
        pytest.skip(
            f"no full flights data at {path}; FRAME_FLIGHTS=/path/to/flights.csv.zip says where it is"
        )
    return path


@pytest.fixture(scope="session")
def full_flights_csv(full_flights_zip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, unpacked (31 MB), once in each test process."""
    folder = tmp_path_factory.mktemp("flights")
    with zipfile.ZipFile(full_flights_zip) as archive:
        return Path(archive.extract("flights.csv", folder))
