-- What is broken or missing is listed over all libraries.
CREATE INDEX import_file_not_present ON import_file (id) WHERE state <> 'present'
