"""Paths of inference's internal API, shared by client and server."""

GENERATE = "/internal/v1/generate"
EMBEDDINGS = "/internal/v1/embeddings"
TOKENIZE = "/internal/v1/tokenize"
MODEL = "/internal/v1/model"
MODEL_DETAILS = "/internal/v1/model/details"
"""Four lines, each a JSON array: the tensors (name, type, shape), the tokens by their ids, the
merges, and the types of the tokens by GGUF's numbers."""
STATS = "/internal/v1/stats"
KEEP_ALIVE = "/internal/v1/keep_alive"
LIVEZ = "/livez"
READYZ = "/readyz"
METRICS = "/metrics"
