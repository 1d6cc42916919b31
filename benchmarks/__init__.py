"""Speed and memory, measured beside their floors: `make bench`, or `make bench BENCH=pipeline`."""
