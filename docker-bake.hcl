# Every image of the chart. `docker buildx bake` builds those of a cluster without GPUs,
# `docker buildx bake inference-cuda` another. Each variable is read from the environment.

# The tag of every image: the chart's appVersion.
variable "TAG" { default = "0.1.0" }

# The registry that images are pushed to: host, or host/path.
variable "REGISTRY" { default = "" }
variable "PREFIX" { default = REGISTRY == "" ? "" : "${trimsuffix(REGISTRY, "/")}/" }

# The base of every image: any Debian with Python 3.11 or newer and venv.
variable "BASE" { default = "docker.io/library/python:3.11-slim-bookworm" }

# The package index of torch; empty: PyPI. Unset: PyTorch's CPU index for inference-cpu, PyPI for
# inference-cuda.
variable "TORCH_INDEX" { default = null }

# The platform of the images, such as linux/amd64; unset: the builder's own.
variable "PLATFORM" { default = null }

# Whether an SBOM and the provenance are added to each image, for a push to a registry.
variable "ATTEST" { default = false }

# Package index, certificate authority and proxies of the build; unset arguments are left out.
variable "PIP_INDEX_URL" { default = null }
variable "PIP_CERT" { default = null }
variable "HTTP_PROXY" { default = null }
variable "HTTPS_PROXY" { default = null }
variable "NO_PROXY" { default = null }

group "default" {
  targets = ["gateway", "inference-cpu", "cli", "toys", "loadtest"]
}

target "_image" {
  context   = "."
  platforms = PLATFORM == null ? null : [PLATFORM]
  args = {
    BASE_IMAGE    = BASE
    PIP_INDEX_URL = PIP_INDEX_URL
    PIP_CERT      = PIP_CERT
    HTTP_PROXY    = HTTP_PROXY
    HTTPS_PROXY   = HTTPS_PROXY
    NO_PROXY      = NO_PROXY
  }
  # `kind load` cannot import an image with attestations.
  attest = ATTEST ? ["type=provenance,mode=max", "type=sbom"] : ["type=provenance,disabled=true", "type=sbom,disabled=true"]
}

target "gateway" {
  inherits   = ["_image"]
  dockerfile = "images/gateway/Dockerfile"
  tags       = ["${PREFIX}sizeup-gateway:${TAG}"]
}

# The fake engine, with predefined tokens and without torch.
target "inference-fake" {
  inherits   = ["_image"]
  dockerfile = "images/inference/Dockerfile"
  target     = "fake"
  tags       = ["${PREFIX}sizeup-inference:${TAG}-fake"]
}

target "inference-cpu" {
  inherits   = ["_image"]
  dockerfile = "images/inference/Dockerfile"
  target     = "cpu"
  args       = { TORCH_INDEX = TORCH_INDEX }
  tags       = ["${PREFIX}sizeup-inference:${TAG}"]
}

target "inference-cuda" {
  inherits   = ["_image"]
  dockerfile = "images/inference/Dockerfile"
  target     = "cuda"
  args       = { TORCH_INDEX = TORCH_INDEX }
  tags       = ["${PREFIX}sizeup-inference:${TAG}-cuda"]
}

target "cli" {
  inherits   = ["_image"]
  dockerfile = "images/cli/Dockerfile"
  target     = "cli"
  tags       = ["${PREFIX}sizeup-cli:${TAG}"]
}

# A model hub with the three toy models.
target "toys" {
  inherits   = ["_image"]
  dockerfile = "images/cli/Dockerfile"
  target     = "toys"
  tags       = ["${PREFIX}sizeup-toys:${TAG}"]
}

target "loadtest" {
  inherits   = ["_image"]
  dockerfile = "images/loadtest/Dockerfile"
  tags       = ["${PREFIX}sizeup-loadtest:${TAG}"]
}
