"""The report of a quantisation: report.html, report.json and plots, to choose by and to keep beside the bundle."""
