"""Options that all tests share."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--update-golden`` writes what the compiler prints now over what is committed."""
    parser.addoption("--update-golden", action="store_true", help="accept the present output")
