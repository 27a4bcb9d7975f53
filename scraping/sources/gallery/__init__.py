"""The project's own picture site, shown on a loopback address, and the source that drives it through a browser."""
