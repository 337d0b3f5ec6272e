"""The gradual rollout: what a stage shows, what follows from it, and who may raise exposure.

Pure logic: no I/O, no thread, no clock. Times are arguments, in microseconds; the same calls in the same order give the
same verdicts, so after a restart the log is fed again and nothing else is kept.
"""
