"""The command line's groups, one module each; `cli` puts them together."""
