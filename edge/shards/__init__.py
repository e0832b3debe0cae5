"""Tar and zip files full of images, which are to us like folders."""
