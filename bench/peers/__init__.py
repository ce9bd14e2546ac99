"""The servers that ours is compared with, each written the way its own documentation teaches and run at its best."""
