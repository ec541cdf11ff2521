"""The door matrix: every route, socket message, protocol method and id-carrying field, for every kind of caller."""
