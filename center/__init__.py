"""The district's side: receives every event once, stores it, shows it. `contract` is what everybody shares."""
