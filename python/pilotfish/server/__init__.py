"""The gRPC server around the engine."""
