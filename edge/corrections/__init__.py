"""What people said of single images: confirmed and corrected labels, kept beside the ledger."""
