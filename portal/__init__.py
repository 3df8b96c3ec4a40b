"""The portal. The Celery app is made here, so that every Django process sends to the same broker."""

from portal.celery import app as celery_app

__all__ = ["celery_app"]
