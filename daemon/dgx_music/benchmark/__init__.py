"""`dgx-music benchmark`: what MusicGen does on this machine, measured, beside what the hardware and others could do.

Every measurement is a task in a process of its own (`task`), so that none inherits another's memory, threads or caches;
the tasks go round and round (`run`), so that a machine that slows down slows all of them down alike.
"""
