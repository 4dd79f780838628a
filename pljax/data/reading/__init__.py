"""Reading of the files and folders that users bring: tables, arrays and pictures become rows with labels."""
