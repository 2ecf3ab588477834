"""The task engine behind one small interface: the row is the truth, a ticket only wakes."""
