"""The part of ``bench_detection.py`` that runs in the simulator: real engines, virtual time."""
