"""The draft model of the settings: find it and compare its vocabulary."""

from pathlib import Path

from sizeup_inference.engine.loading.load_error import LoadError
from sizeup_inference.settings import Settings
from sizeup_inference.startup.embedding_config import read_embedding_config
from sizeup_inference.text.hf_tokenizer import HuggingFaceTokenizer
from sizeup_store.weights import check_structure, find_model


def find_draft(settings: Settings, model: Path, tokenizer: HuggingFaceTokenizer) -> Path | None:
    """Return the folder of the draft model for that of a model; None without one.

    Raises WeightsError for a folder that is unsafe or incomplete, and LoadError for models that
    embed, for one on several ranks and for a vocabulary that is not `tokenizer`'s.
    """
    if settings.draft_model is None:
        return None
    if settings.tensor_parallel > 1:
        raise LoadError(
            f"draft_model {settings.draft_model} with tensor_parallel {settings.tensor_parallel}: "
            "a model on several ranks is computed without drafts"
        )
    folder = find_model(settings.draft_model, settings.draft_revision, settings.hub_cache)
    check_structure(folder)
    for path, name in ((model, settings.model), (folder, settings.draft_model)):
        if read_embedding_config(path) is not None:
            raise LoadError(f"draft_model: {name} is made for embeddings, and generates no text")
    own, other = tokenizer.vocabulary, HuggingFaceTokenizer.load(folder).vocabulary
    if own != other:
        differing = sorted(token for token, _ in own.items() ^ other.items())
        raise LoadError(
            f"draft_model {settings.draft_model} has another vocabulary than {settings.model}: "
            f"{len(set(differing))} tokens differ, such as {differing[0]!r}"
        )
    return folder
