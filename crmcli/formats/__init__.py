"""Foreign formats in and out: bytes of somebody else's making to plain rows, and back; no records, no store."""
