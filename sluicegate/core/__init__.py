"""What every layer may use: errors, ids, clock, crypto, limits on where connections go."""
