"""Names of wire fields in a dialect. Pure."""

from collections.abc import Mapping


def dialect_field(wire_field: str, names: Mapping[str, str], prompt_field: str) -> str:
    """Map a wire field, which may be dotted, to a field of the request.

    `names` has those that differ, by their whole name or by its first part; what makes the prompt
    is `prompt_field`, and the parts of `sampling` are fields of their own.
    """
    root, _, rest = wire_field.partition(".")
    if wire_field in names or root in names:
        return names[wire_field if wire_field in names else root]
    if root == "prompt":
        return prompt_field
    return rest if root == "sampling" and rest else wire_field
