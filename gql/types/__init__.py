"""The public object types, one domain a file. They wrap rows; they hold no SQL and no rules."""
