"""The sections of the report, a file each subject: its tables, figures, columns and text.

`analysis.report.assemble` puts them together. A table computes, a figure only draws its table.
"""
