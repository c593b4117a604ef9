"""Triton kernels, one file per operation; :mod:`diptych.ops` imports one only when it is chosen."""
