-- Playlists that lie as files among imported music; path is relative to the library's, escaped. state: present
-- (its playlist follows it), edited or deleted (a person changed its playlist: it is left alone), broken (reason
-- says why), missing. found: of its entries; unfound: JSON, the first of those that are not, with their reasons.
CREATE TABLE import_list (
    id BIGINT PRIMARY KEY,
    library_id BIGINT NOT NULL,
    path TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    mtime_ns BIGINT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    entries BIGINT NOT NULL,
    found BIGINT NOT NULL,
    unfound TEXT NOT NULL,
    playlist_id BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX import_list_by_path ON import_list (library_id, path)
