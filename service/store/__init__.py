"""Tables, sessions and everything that may be done to them. The API and the worker share it."""
