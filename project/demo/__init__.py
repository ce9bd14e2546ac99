"""The demo: a small team's space at `/`, in which every window is a person of its own. For development only."""
