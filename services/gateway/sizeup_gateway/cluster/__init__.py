"""The Kubernetes API: EndpointSlices, the scale subresource and a ConfigMap."""
