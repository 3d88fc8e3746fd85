"""The timeline: a pure function of the set of receipts.

`receipts.merge` joins a receipt into a document; it commutes with itself and does nothing the second time.
`derived.derive` reads a document as a shipment: events in order, status, leg. `changes.changes` names what differs
between two readings.
"""
