"""The benchmark that `make bench` runs: our server and others on one machine. The product does not import it."""
