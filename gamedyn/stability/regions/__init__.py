"""For which parameters a step or a flow is stable: exact sets, thresholds and best steps."""
