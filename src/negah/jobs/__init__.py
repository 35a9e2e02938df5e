"""Captioning many files as a job that may be killed at any moment, and goes on where it stopped.

Nothing here prints or draws: rows come in as text, and go out as they came.
"""
