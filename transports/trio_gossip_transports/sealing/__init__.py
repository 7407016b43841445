"""Sealing without input or output: bytes, addresses and the time go in, bytes come out."""
