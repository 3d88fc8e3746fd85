"""Drift: what carriers say that no table covers, kept for the one who will map it.

Four kinds: a code that no table and no phrase covers, a text without a code that no phrase covers, a body that says
nothing, and a shape: a body with a path, or a kind of value, that no body of its carrier had before and none of those
that its adapter was written after. What is heard is counted here and written every few seconds, so that a webhook pays
for a look into a table. Of a busy carrier a sample of the bodies is looked at.
"""
