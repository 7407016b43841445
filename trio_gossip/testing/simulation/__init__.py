"""A cluster of engines in virtual time: no trio, no sockets, every bit repeatable."""
