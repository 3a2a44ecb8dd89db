"""Where the files of results are: in a folder, or in object storage."""
