"""The way out to a carrier: budget, retries, breaker and tokens, once for all adapters."""
