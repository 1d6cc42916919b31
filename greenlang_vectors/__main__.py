"""`python -m greenlang_vectors` is the command `greenlang-vectors`."""

from greenlang_vectors.cli import main

main()
