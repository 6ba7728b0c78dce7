"""REST of the registry: thin views that read the request, call a service and tell the result."""
