"""One executor for each kind of work: it does what the scheduler asks, and answers in the scheduler's words."""
