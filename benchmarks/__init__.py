"""Speed and accuracy of bwlib against other libraries: ``make bench``, or ``python -m benchmarks``."""
