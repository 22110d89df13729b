"""Tables, plots and pages from stored rows."""
