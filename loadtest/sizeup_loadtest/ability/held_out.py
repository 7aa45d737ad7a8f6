"""Subjects that are held out from the training of the toy models.

The toy models are trained on generated items of the same wording. A subject (two numbers, a list,
some facts) is held out when the hash of its family and itself falls into one bucket of ten. For
other models the rule makes no difference.
"""

import hashlib

BUCKETS = 10


def held_out(family: str, subject: str) -> bool:
    """Whether a subject of a family of kinds is held out."""
    digest = hashlib.blake2b(f"{family}:{subject}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % BUCKETS == 0
