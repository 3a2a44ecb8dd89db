"""Runs of reports: submitted by triggers, schedules and users."""
