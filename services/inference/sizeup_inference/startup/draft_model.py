"""The draft model of the settings: find it and compare its vocabulary."""

from pathlib import Path

from sizeup_inference.engine.loading.load_error import LoadError
from sizeup_inference.settings import Settings
from sizeup_inference.text.hf_tokenizer import HuggingFaceTokenizer
from sizeup_store.weights import check_structure, find_model


def find_draft(settings: Settings, tokenizer: HuggingFaceTokenizer) -> Path | None:
    """Return the folder of the draft model; None without one.

    Raises WeightsError for a folder that is unsafe or incomplete, and LoadError for a vocabulary
    that is not `tokenizer`'s.
    """
    if settings.draft_model is None:
        return None
    folder = find_model(settings.draft_model, settings.draft_revision, settings.hub_cache)
    check_structure(folder)
    own, other = tokenizer.vocabulary, HuggingFaceTokenizer.load(folder).vocabulary
    if own != other:
        differing = sorted(token for token, _ in own.items() ^ other.items())
        raise LoadError(
            f"draft_model {settings.draft_model} has another vocabulary than {settings.model}: "
            f"{len(set(differing))} tokens differ, such as {differing[0]!r}"
        )
    return folder
