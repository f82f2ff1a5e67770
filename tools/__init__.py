"""Tools of the project's own; nothing that runs imports them."""
