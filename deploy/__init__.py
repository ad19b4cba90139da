"""Ways to bring the server to other machines."""
