"""
Child processes for work that may need any amount of memory or time: whoever wrote it may be hostile.

A child has limits of the operating system, an empty environment, and one socket, to its parent. It answers
one call at a time. To stop a call is to kill its child; the pool starts another. A child ends with its
parent, however that ends.

``frames`` is what both sides send, ``limits`` and ``server`` are the child's side, ``child`` and ``pool`` the
parent's.
"""
