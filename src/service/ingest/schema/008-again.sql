-- The first of the track's versions that are this same file; 0: version alone is (catalog_rungs_remove makes others).
ALTER TABLE import_file ADD COLUMN same_from BIGINT NOT NULL DEFAULT 0
