"""Build of the optional C kernel; everything else is in pyproject.toml.

Without a C compiler the installation still succeeds, and attention falls back to PyTorch.
"""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "sizeup_inference.engine.kernels._decode_attention",
            sources=["sizeup_inference/engine/kernels/decode_attention.c"],
            # -ffast-math reorders sums, without which the compiler cannot vectorize them.
            extra_compile_args=["-O3", "-fopenmp", "-ffast-math"],
            extra_link_args=["-fopenmp", "-lm"],
            optional=True,
        )
    ]
)
