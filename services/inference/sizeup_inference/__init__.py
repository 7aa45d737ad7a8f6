"""One Qwen model, one process, one compute thread."""
