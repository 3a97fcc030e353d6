"""What predict leaves on disk."""
