"""The way into a running Ardour: a folder for each session, in which the daemon and Ardour's Lua pass files on.

UDP is one-way for a Lua script, and it cannot list a folder; but it can rename, read and write files. So the daemon
puts a delivery up under one fixed name, the script claims it by renaming it, and says how it went in a report.
"""
