"""
The HTTP protocol of PushMetrics and of the receiver, without I/O and without Airflow.

``calls`` and ``feed`` define each request and how its response is parsed, once, as generators. ``transports``
has the two drivers that run them: one on ``requests``, one on ``aiohttp``.
"""

from __future__ import annotations
