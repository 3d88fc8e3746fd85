"""The poller: asks carriers for what is due, many waybills a query, each connection at its own pace.

A connection has a queue of its own, bounded by what it can do in `horizon_s`; a slow one fills its own queue and no
other. An answer that brings nothing new writes nothing but the next due times, many in one call.
"""
