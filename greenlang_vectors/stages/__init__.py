"""The stages of the pipeline, one function each, for one namespace at a time."""
