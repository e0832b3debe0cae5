"""The counting process: its loop, its workers, and what the outside hears of it."""
