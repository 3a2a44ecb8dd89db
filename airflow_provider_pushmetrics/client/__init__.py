"""
The HTTP protocol of PushMetrics and of the receiver, without I/O and without Airflow.

``calls`` and ``feed`` say what is sent and how the answer reads, once, as generators; ``transports`` has the
two small drivers that run them: one on ``requests``, one on ``aiohttp``.
"""

from __future__ import annotations
