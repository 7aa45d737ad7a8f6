"""Build of the optional C kernels; everything else is in pyproject.toml.

Without a C compiler the installation still succeeds, and PyTorch computes what they would.
"""

from pathlib import Path

from setuptools import Extension, setup

KERNELS = Path("sizeup_inference/engine/kernels")

setup(
    ext_modules=[
        Extension(
            "sizeup_inference.engine.kernels._decode_attention",
            sources=[str(KERNELS / "decode_attention.c")],
            # -ffast-math reorders sums, without which the compiler cannot vectorize them.
            extra_compile_args=["-O3", "-fopenmp", "-ffast-math"],
            extra_link_args=["-fopenmp", "-lm"],
            optional=True,
        ),
        Extension(
            "sizeup_inference.engine.kernels._sampling",
            sources=[str(KERNELS / "sampling.c")],
            depends=[str(path) for path in sorted(KERNELS.glob("sampling*.h"))],
            # No -ffast-math: logits may be NaN or infinite. -Wpsabi is about vectors as arguments,
            # which are inlined.
            extra_compile_args=["-O3", "-Wno-psabi"],
            extra_link_args=["-lm"],
            optional=True,
        ),
    ]
)
