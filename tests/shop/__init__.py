"""An app of a site with models of several kinds, for tests of what `notifications` does with objects of the site."""
