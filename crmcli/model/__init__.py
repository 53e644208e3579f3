"""Records and rules of a sales team: no files, no clock, no environment, no SQL."""
