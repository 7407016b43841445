"""What must hold in every run, each rule in a class of its own."""
