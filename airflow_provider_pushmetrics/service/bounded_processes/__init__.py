"""
Child processes for work that may need any amount of memory or time, since its author may be hostile.

A child has limits of the operating system, an empty environment, and one socket, to its parent. It answers
one call at a time. A call is stopped by killing its child; the pool starts another. A child ends with its
parent.

Both sides use ``frames``, the child ``limits`` and ``server``, the parent ``child`` and ``pool``.
"""
