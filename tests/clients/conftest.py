"""The server that the clients are pointed at."""

import os
import tempfile

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--url", required=True, help="of the server that run.py starts")


def pytest_configure(config: pytest.Config) -> None:
    """Set what clients read from the environment when they are imported."""
    url = str(config.getoption("--url"))
    os.environ |= {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it is downloaded
        "LLM_USER_PATH": tempfile.mkdtemp(),  # the user's own has logs and keys
        "OLLAMA_HOST": url,  # of llm-ollama, and of the standard tests of LangChain
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": "none",
        "OPENAI_BASE_URL": f"{url}/v1",
        "OPENAI_API_KEY": "none",
    }


@pytest.fixture(scope="session")
def url(pytestconfig: pytest.Config) -> str:
    return str(pytestconfig.getoption("--url"))
