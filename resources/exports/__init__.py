"""Where the report goes: workbook, file."""
