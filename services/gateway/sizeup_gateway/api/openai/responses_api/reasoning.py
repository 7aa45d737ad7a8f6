"""`encrypted_content`: the reasoning of a response for the client to send back. Pure.

Clients drop the readable content of a reasoning item, and return this. It is not secret, since the
response has the reasoning itself.
"""

import base64
import binascii

from sizeup_gateway.api.openai.responses_api.schema import ReasoningItem

_PREFIX = "sizeup1."
"""Separates it from that of other servers, which cannot be read."""


def seal(text: str) -> str:
    return _PREFIX + base64.b64encode(text.encode()).decode()


def unseal(item: ReasoningItem) -> str:
    """Return the reasoning; empty if there is none, or another server's."""
    sealed = item.encrypted_content or ""
    if not sealed.startswith(_PREFIX):
        return ""
    try:
        return base64.b64decode(sealed.removeprefix(_PREFIX), validate=True).decode()
    except (binascii.Error, UnicodeError):
        return ""
