"""The shipped models, loaded once."""

import pytest

from gateway.vision.reader import PlateReader, load_default


@pytest.fixture(scope="session")
def plates() -> PlateReader:
    return load_default()
