import os

import pytest

from sizeup.settings import Settings, inherited_environment


def test_children_do_not_inherit_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert "hf_secret" not in inherited_environment().values()
    assert inherited_environment()["PATH"] == os.environ["PATH"]


def test_the_token_is_not_in_the_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert "hf_secret" not in repr(Settings())
