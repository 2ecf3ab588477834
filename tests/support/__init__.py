"""Real servers and small helpers that the tests share: each module stands alone and knows nothing of pytest."""
