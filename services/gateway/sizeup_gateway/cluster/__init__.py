"""The Kubernetes API: EndpointSlices and the scale subresource."""
