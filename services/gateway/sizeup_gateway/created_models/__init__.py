"""The models that users create: stored in a file or a ConfigMap, shared by several gateways."""
