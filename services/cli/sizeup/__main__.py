"""`python -m sizeup`."""

from sizeup.main import main

main()
