"""Where the report goes: page, workbook, CSV, spreadsheet. What is shown is decided in the core."""
