"""Running the service: the API process, the worker process, and `serve`, which keeps both and a private Redis alive."""
