"""Options of the test run."""

import signal

import pytest


def pytest_configure() -> None:
    """Tests interrupt themselves: a shell that starts them in the background has told them to ignore that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="accept what the code does now: rewrite the expected texts in tests/golden",
    )


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether expected texts are to be rewritten."""
    return bool(request.config.getoption("--update-golden"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that need an accelerator skip where there is none."""
    need = [item for item in items if item.get_closest_marker("gpu")]
    if not need:
        return
    import torch

    if not torch.cuda.is_available():
        for item in need:
            item.add_marker(pytest.mark.skip(reason="no accelerator here"))
