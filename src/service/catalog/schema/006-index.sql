-- Where an artist stands in the index (index_key.h); '' where it is not in it, NULL where that was not
-- said yet: by the version before, filled in small steps (index_fill.c). imported is 1 where nobody
-- made the page by hand.
ALTER TABLE artist ADD COLUMN index_key TEXT;
ALTER TABLE artist ADD COLUMN imported BIGINT NOT NULL DEFAULT 0;
CREATE INDEX artist_by_index ON artist (index_key, id) WHERE deleted_at IS NULL AND index_key <> '';
CREATE INDEX artist_unindexed ON artist (id) WHERE deleted_at IS NULL AND index_key IS NULL
