"""What stored data says about itself. Asks through the ports, does no I/O of its own."""
