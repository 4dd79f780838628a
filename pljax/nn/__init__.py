"""Building blocks of the methods: networks, losses, schedules and optimizers."""
