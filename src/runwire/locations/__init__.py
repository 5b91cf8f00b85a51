"""Code locations: processes that import user code, serve its definitions, and start run workers.

Nothing is imported here: a run worker starts from this package and must not load gRPC.
"""
