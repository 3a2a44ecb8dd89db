"""All deferred waits of one triggerer on one connection: one long poll and one poll of the API for all."""
