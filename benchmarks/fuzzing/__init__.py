"""What mutates texts and model folders, and what watches what reading them does."""
