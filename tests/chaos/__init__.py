"""
Faults in the distributed set-up: ``make chaos``.

Every process of the set-up is killed and frozen while Dags run. Then the databases are asked whether anything
failed, came twice, got lost or is stuck.
"""

from __future__ import annotations
