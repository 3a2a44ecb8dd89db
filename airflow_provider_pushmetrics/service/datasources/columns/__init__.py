"""How the columns of each database become Arrow, exactly."""
