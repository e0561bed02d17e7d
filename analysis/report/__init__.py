"""The report: one offline page with its sections, their tables and figures as files, and the index of all reports.

The command line calls `page.write_report`, `files.write_figures` and `index.write_index`.
"""
