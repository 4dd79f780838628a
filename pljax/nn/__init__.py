"""The parts that methods are made of: networks, losses, schedules, optimizers. None knows a method."""
