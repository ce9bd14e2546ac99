"""What `make bench` runs: our server beside others on one machine. No part of the product; nothing imports it."""
