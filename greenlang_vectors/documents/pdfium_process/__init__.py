"""Reads PDFs in a process of its own, each in a fork of it: PDFs on standard input, JSON out.

PDFium is C++ that reads hostile files: here it can crash, loop or eat memory and takes only the
fork of this one PDF with it. Imports nothing of the package but itself, so that it starts in a
tenth of a second; what the lines mean is worked out in the calling process. Before each PDF and
each answer stands its length in 8 bytes.

The JSON is either `{"error": reason}`, or
`{"pages": [{"height", "lines": [[text, left, right, bottom, top, bold, gaps]], "rules"}],
"outline": [[level, title, page]], "metadata": {}}`, coordinates in points with the origin at the
lower left of the page as it is shown. A hyphen at the end of a line is "-". Where a page may hold
columns or tables, `gaps` are the wide spaces of a line, each its place in the text, where it begins
and where it ends; and `rules` ruling lines: left, right, bottom, top.
"""

LENGTH_BYTES = 8
"""Of the length that stands before each PDF and each answer."""
