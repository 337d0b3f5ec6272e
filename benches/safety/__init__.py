"""Campaigns that try to make something illegal leave, or something unproven rise."""
