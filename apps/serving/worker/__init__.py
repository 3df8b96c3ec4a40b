"""The real-time serving worker: a process of its own, without Django and without pandas."""
