"""Which theorem's class a game belongs to: constants that are exact, certified or estimated."""
