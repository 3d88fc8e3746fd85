"""Connections: an account's access to carriers' interfaces, and the route by which a shipment is asked for or heard of.

What a connection holds is sealed in the store; here it is open. When a connection last told of anything is kept
apart from it (kind `heard`), so that a busy feed does not make everyone read the connections again. Until when one
that fails is left alone is kept too (kind `outage`): every worker knows it, and so does the next start.
"""
