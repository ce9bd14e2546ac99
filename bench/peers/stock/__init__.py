"""A plain Channels site: consumers, groups and the pub/sub layer, as in the tutorial of Channels."""
