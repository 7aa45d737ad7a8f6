"""Build of the optional C kernels; everything else is in pyproject.toml.

Without a C compiler the installation still succeeds: transformers' modules compute the models, and
PyTorch samples.
"""

from glob import glob

from setuptools import Extension, setup

_SOURCES = "sizeup_inference/engine/kernels/c"

setup(
    ext_modules=[
        Extension(
            "sizeup_inference.engine.kernels._kernels",
            sources=sorted(glob(f"{_SOURCES}/*.c")),
            depends=sorted(glob(f"{_SOURCES}/*.h")),
            # No -ffast-math: a NaN must stay one. -Wno-psabi: vectors cross no library's border.
            extra_compile_args=["-O3", "-fno-math-errno", "-fno-trapping-math", "-Wno-psabi"],
            extra_link_args=["-lm", "-lpthread"],
            optional=True,
        )
    ]
)
