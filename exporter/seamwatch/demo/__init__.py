"""A real small AI pipeline of four teams, breakable while it runs, with seamwatch on it."""
