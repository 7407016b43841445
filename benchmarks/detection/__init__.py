"""The parts of ``bench_detection.py``: how deaths are noticed, and what is mistaken for one."""
