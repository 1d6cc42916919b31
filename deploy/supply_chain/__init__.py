"""What the product is made of, and what must not be in it: packages, licences, secrets, holes.

docs/security.md says what each step holds; `make check` and `make sbom` run them.
"""
