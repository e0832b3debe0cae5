"""The camera host: watches a folder, classifies every new image once, and keeps the counts."""
