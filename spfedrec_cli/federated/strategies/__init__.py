"""One round of SpFedRec, and one of what it is compared with."""
