-- When the last of a version's renditions was made; 0: before it was asked, or not yet.
ALTER TABLE track_version ADD COLUMN completed_at BIGINT NOT NULL DEFAULT 0
