"""Where pictures come from: folders, archives and S3."""
