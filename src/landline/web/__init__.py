"""The HTTP kit that every face shares: callers, problems, streams, sockets, pages, strict JSON, the guard of the edge.

It knows ports and the wire, never the engine and never one face.
"""
