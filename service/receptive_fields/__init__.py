"""What neurons look for: their incoming weights, as numbers and as pictures."""
