-- What artists bring: one row an upload, from the asking for its URL to its use or its end. state:
-- open (URLs are out), complete (all parts joined), used (a track has the file), aborted (given up,
-- by the artist or by the sweep). bytes is the declared size, 0 where none was.
CREATE TABLE upload (
    id BIGINT PRIMARY KEY,
    user_id BIGINT NOT NULL,
    filename TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    part_bytes BIGINT NOT NULL,
    object_key TEXT NOT NULL,
    multipart_id TEXT NOT NULL,
    track_url TEXT NOT NULL,
    state TEXT NOT NULL,
    track_id BIGINT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX upload_by_url ON upload (track_url);
CREATE UNIQUE INDEX upload_by_key ON upload (object_key);
CREATE INDEX upload_by_user ON upload (user_id) WHERE state IN ('open', 'complete');
CREATE INDEX upload_by_expiry ON upload (expires_at) WHERE state IN ('open', 'complete')
