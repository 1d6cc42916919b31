"""Where documents come from: the interface every source implements, and the local folder.

A source is listed whole or not at all: a listing that fails raises `SourceUnavailable`, so that
nothing is ever deleted because something could not be read.
"""
