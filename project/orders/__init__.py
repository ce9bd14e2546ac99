"""Orders: an example of an app of a site that tells its users what happens to their objects."""
