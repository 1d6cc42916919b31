"""Telling people that a run failed: Slack, e-mail, webhooks."""
