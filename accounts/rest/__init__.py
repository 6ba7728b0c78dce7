"""Who asks, whether they may ask at all, and the same answer to the same question asked twice."""
