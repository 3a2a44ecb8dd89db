"""Telling people how runs ended, by mail and by Slack."""
