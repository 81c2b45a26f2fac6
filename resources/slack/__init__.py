"""Slack: what a message says, the calls that send it, the ways in which clicks arrive. No decisions."""
