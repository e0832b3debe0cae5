"""From raw counts to what they say of the sea: corrected for the classifier's errors, with intervals."""
