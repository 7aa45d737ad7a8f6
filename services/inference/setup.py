"""Build the optional C kernel; everything else is in pyproject.toml.

Without a C compiler the installation still succeeds, and attention runs on PyTorch's own kernels.
"""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "sizeup_inference.engine.kernels._decode_attention",
            sources=["sizeup_inference/engine/kernels/decode_attention.c"],
            # Sums may be reordered: that is what lets the compiler use vector registers.
            extra_compile_args=["-O3", "-fopenmp", "-ffast-math"],
            extra_link_args=["-fopenmp", "-lm"],
            optional=True,
        )
    ]
)
