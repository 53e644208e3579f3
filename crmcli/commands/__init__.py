"""The commands: one file each, named like what the user types; open, find, apply a rule, put, show."""
