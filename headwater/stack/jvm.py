"""What our JVMs share.

Archives of loaded classes (`-XX:+AutoCreateSharedArchive`) would save a third of the CPU of a start, but Flink's
planner cannot compile its code on them: reflection gives null for an archived class (Java 21.0.8, Flink 2.3.0).
"""

LIGHT = "-XX:TieredStopAtLevel=1"
"""For JVMs that do little: the second compiler costs more than it gives."""
