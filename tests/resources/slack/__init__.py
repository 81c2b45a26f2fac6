"""Slack: messages, clicks, the relay."""
