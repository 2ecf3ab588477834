"""One reader for each kind of file that has records."""
