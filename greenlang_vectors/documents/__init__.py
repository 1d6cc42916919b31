"""Documents in: sources, extraction and cleaning."""
