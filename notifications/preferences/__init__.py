"""What readers want to hear of, when and how: their choices, and the cascade that decides by them."""
