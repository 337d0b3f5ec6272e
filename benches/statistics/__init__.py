"""Measures the statistics of a rollout: how often they are wrong when one looks always, and how soon they see."""
