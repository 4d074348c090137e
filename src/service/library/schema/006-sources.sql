-- Playlists that follow a file of an imported folder (source_id is ingest's name of it, for good). title and
-- items_hash are what was last written of it: where the playlist differs from that, a person edited it.
CREATE TABLE playlist_source (
    source_id BIGINT PRIMARY KEY,
    playlist_id BIGINT NOT NULL,
    owner_user_id BIGINT NOT NULL,
    title TEXT NOT NULL,
    items_hash TEXT NOT NULL
);
CREATE INDEX playlist_source_by_owner ON playlist_source (owner_user_id)
