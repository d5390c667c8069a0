"""The other end of the wire: exchanges that speak the venues' real protocols, with faults."""
