"""report.html: one file, without a network, that a scientist can open, mail and print.

facts, places, collage   what is read from the ledger and the images
scale, svg, and a file for each kind of plot   values -> SVG text
page                     all of it as one page
"""
