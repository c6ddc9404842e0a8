"""The simulated physical world of a site. It plugs in where wires would be and never imports the gateway or center."""
