"""What stands between a stranger and the handlers: bounds on bodies, connections, rates and guesses."""
