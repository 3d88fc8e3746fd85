"""The one door: a registration, a push, a poll, a patch and a stall all become a commit here, and nowhere else.

Every write is read → merge → compare-and-set; a conflict reads and merges again, so that no race makes a second event.
`door.Ingest` is made of what is `registering`, `receiving` and `changing`, over `reading`; `commits` writes.
"""
