import pytest

from sizeup_wire.names import is_legal_name, listed_name, name_key


@pytest.mark.parametrize(
    "name",
    [
        "",
        ":latest",
        "../../etc/passwd",
        "a b",
        "a\x00b",
        "x" * 81,
        "x:" + "t" * 81,
        "n" * 81 + "/x",
        "name.space/x",
        "http://x",
        "http://evil/x",
        "模型",
        "a:b:c:d:e",
        "a/b/c/d",
        "x@sha256:0",
        "-x",
        "x:",
        "x\n",
    ],
)
def test_illegal_names(name: str) -> None:
    assert not is_legal_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "qwen:0.5b",
        "Qwen/Qwen1.5-0.5B",
        "hf.co/Qwen/X-GGUF:Q4_K_M",
        "x" * 80 + ":" + "t" * 80,
        "localhost:5000/me/x:1",
        "https://registry.ollama.ai/library/x",
        "_x",
    ],
)
def test_ollama_and_hub_names_are_legal(name: str) -> None:
    assert is_legal_name(name)


@pytest.mark.parametrize(
    ("name", "listed"),
    [
        ("GPT-4", "GPT-4:latest"),
        ("x:1", "x:1"),
        ("Me/X", "Me/X:latest"),
        ("library/X:1", "X:1"),
        ("registry.ollama.ai/library/x", "x:latest"),
        ("Registry.Ollama.AI/me/x", "me/x:latest"),
        ("https://hf.co/Qwen/X", "Qwen/X:latest"),
        ("localhost:5000/me/x", "localhost:5000/me/x:latest"),
        ("library/me/x", "library/me/x:latest"),  # a host of this name
    ],
)
def test_a_name_is_listed_with_its_tag_and_without_defaults(name: str, listed: str) -> None:
    assert listed_name(name) == listed
    assert name_key(name.upper()) == name_key(listed) == listed.lower()
