"""The way of a decision and of an outcome. No gRPC inside."""
