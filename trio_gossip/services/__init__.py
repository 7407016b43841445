"""What rides on the core: services, as pure as the engine that carries them."""
