"""From a folder of labelled images to arrays in parts: reading, looking, splitting, augmenting."""
