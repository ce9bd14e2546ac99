"""Who is online (L1): one contract in `store`, kept in this process by `memory` or for all processes by `redis`."""
