"""Where objects come from: one protocol, declared capabilities, a package for each kind of storage."""
