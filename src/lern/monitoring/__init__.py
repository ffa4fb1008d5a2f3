"""What an operator can see of a running process: metrics and health, over HTTP."""
