"""What must hold when processes are killed, frozen, doubled or misconfigured: real processes, real signals."""
