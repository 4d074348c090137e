-- Libraries that admins make, each with who may see it; called shelves here, since library is a role's
-- name. An artist stands on one (0: on none, which is everybody's), and all that is its own with it.
-- seen_by: everybody, or some: the users of shelf_reader and whoever has one of roles. What only some
-- see is marked where lists find it, so that what asks for "published" never comes upon it: artists by
-- shelved = 1, albums by the status shelved (else it would be published), tracks by published = 2, an
-- album's genres alike.
CREATE TABLE shelf (
    id BIGINT PRIMARY KEY,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    seen_by TEXT NOT NULL,
    roles BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE UNIQUE INDEX shelf_by_name ON shelf (name_key) WHERE deleted_at IS NULL;

CREATE TABLE shelf_reader (
    shelf_id BIGINT NOT NULL,
    user_id BIGINT NOT NULL,
    PRIMARY KEY (shelf_id, user_id)
);

-- Absolute paths as imports write them. What is imported from there, or below, stands on the shelf;
-- the longest path decides.
CREATE TABLE shelf_folder (
    path TEXT PRIMARY KEY,
    shelf_id BIGINT NOT NULL
);
CREATE INDEX shelf_folder_by_shelf ON shelf_folder (shelf_id);

ALTER TABLE artist ADD COLUMN shelf_id BIGINT NOT NULL DEFAULT 0;
ALTER TABLE artist ADD COLUMN shelved BIGINT NOT NULL DEFAULT 0;
ALTER TABLE album ADD COLUMN shelf_id BIGINT NOT NULL DEFAULT 0;
ALTER TABLE track ADD COLUMN shelf_id BIGINT NOT NULL DEFAULT 0;

-- Lists of what everybody sees pass over nothing, and of a shelf neither.
DROP INDEX artist_by_index;
DROP INDEX artist_by_created;
CREATE INDEX artist_by_index ON artist (index_key, id)
    WHERE deleted_at IS NULL AND index_key <> '' AND shelved = 0;
CREATE INDEX artist_by_created ON artist (id) WHERE deleted_at IS NULL AND shelved = 0;
CREATE INDEX artist_shelved_by_index ON artist (shelf_id, index_key, id)
    WHERE deleted_at IS NULL AND index_key <> '' AND shelved = 1;
CREATE INDEX artist_by_shelf ON artist (shelf_id, id) WHERE deleted_at IS NULL AND shelf_id <> 0;
CREATE INDEX album_shelved_by_title ON album (shelf_id, title_key, id)
    WHERE deleted_at IS NULL AND status = 'shelved';
CREATE INDEX album_by_shelf ON album (shelf_id, id) WHERE deleted_at IS NULL AND shelf_id <> 0;
CREATE INDEX track_shelved_by_title ON track (shelf_id, title_key, id)
    WHERE deleted_at IS NULL AND published = 2;
CREATE INDEX track_by_shelf ON track (shelf_id, id) WHERE deleted_at IS NULL AND shelf_id <> 0;
CREATE INDEX album_shelved_by_year
    ON album (shelf_id, (CASE WHEN original_date <> '' THEN original_date ELSE release_date END), id)
    WHERE deleted_at IS NULL AND status = 'shelved';
CREATE INDEX album_shelved_by_ring
    ON album (shelf_id, (id % 2147483648 * 1103515245 % 2147483648), id)
    WHERE deleted_at IS NULL AND status = 'shelved'
