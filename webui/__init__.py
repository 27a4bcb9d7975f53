"""The web page: a thin Flask front over the service.

It asks the service through one client, keeps answers under the picture's bytes, and never loads
torch or the model store.
"""
