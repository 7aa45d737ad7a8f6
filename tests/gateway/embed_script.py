"""What a scripted inference process responds to a batch of prompts to embed."""

import base64
import math
from array import array
from collections.abc import AsyncIterator, Callable, Iterator

from sizeup_wire.embeddings import Embedding, EmbedEvent, EmbedRequest
from sizeup_wire.events import Finished, Started
from sizeup_wire.generate import TextPrompt

EmbedScript = Callable[[EmbedRequest], AsyncIterator[EmbedEvent | bytes]]


def vectors(request: EmbedRequest) -> Iterator[EmbedEvent]:
    """Embed every prompt in its length, 3 and 4; 7 tokens each."""
    yield Started(queued_ns=1000, load_ns=0, prompt_tokens=7)
    for index, prompt in enumerate(request.prompts):
        size = len(prompt.text if isinstance(prompt, TextPrompt) else prompt.token_ids)
        components = array("f", [size, 3.0, 4.0])[: request.dimensions]
        if request.normalize:
            length = math.hypot(*components)
            components = array("f", [component / length for component in components])
        vector = base64.b64encode(components).decode()
        yield Embedding(index=index, vector=vector, prompt_tokens=size)
    yield Finished(
        reasons=(),
        prompt_tokens=7 * len(request.prompts),
        completion_tokens=0,
        prompt_eval_ns=1000,
        eval_ns=0,
    )


async def embedding(request: EmbedRequest) -> AsyncIterator[EmbedEvent | bytes]:
    for event in vectors(request):
        yield event
