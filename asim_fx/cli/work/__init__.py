"""What the commands do once they need torch: imported by the body of a command, never before."""
