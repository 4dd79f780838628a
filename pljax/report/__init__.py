"""Reports: sentences, tables, pages and figures; and the terminal."""
