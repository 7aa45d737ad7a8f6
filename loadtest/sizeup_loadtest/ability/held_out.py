"""Which subjects the toy models were never trained on.

The toys that come with the project learn from generated items of the same wording. A subject (two
numbers, a list, some facts) is kept from training when the hash of its family and itself falls
into one bucket of ten; other models were trained without this rule, and it costs them nothing.
"""

import hashlib

BUCKETS = 10


def held_out(family: str, subject: str) -> bool:
    """Tell whether the toys were never trained on a subject of a family of kinds."""
    digest = hashlib.blake2b(f"{family}:{subject}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % BUCKETS == 0
