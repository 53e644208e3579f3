"""Backups: snapshots of a store in other places, made and checked without a key; docs/reference/backup-format.md."""
