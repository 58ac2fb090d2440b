"""What people like, as clusters of products that look or read alike."""
