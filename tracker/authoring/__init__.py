"""The tools of whoever writes an adapter: a new one's folder, a question to the live carrier, a rehearsal of it."""
