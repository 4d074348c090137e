-- The library of the catalogue that a folder's music was put into, when it was last gone through.
ALTER TABLE import_folder ADD COLUMN shelf_id BIGINT NOT NULL DEFAULT 0
