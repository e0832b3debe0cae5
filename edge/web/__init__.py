"""The live page: what `planktow-edge serve` shows on the ship's network. It reads the ledger and never writes to it."""
