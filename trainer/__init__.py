"""The workstation ashore: from a folder of labelled images to Keras members and a training record."""
