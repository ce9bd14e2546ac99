"""The catalogue of types, for staff: how each looks, how it is read, and whether it is switched off."""
