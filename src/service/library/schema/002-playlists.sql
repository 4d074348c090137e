-- Playlists, keyed by their own id. revision counts edits (the ETag).
CREATE TABLE playlist (
    id BIGINT PRIMARY KEY,
    owner_user_id BIGINT NOT NULL,
    title TEXT NOT NULL,
    description TEXT NOT NULL,
    item_count BIGINT NOT NULL,
    shared BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE INDEX playlist_by_owner ON playlist (owner_user_id, id) WHERE deleted_at IS NULL;

-- place is a fraction (place.h); live items of a playlist never share one. A removed item stays as
-- a tombstone, so that what stands behind it for somebody else finds its place.
CREATE TABLE playlist_item (
    playlist_id BIGINT NOT NULL,
    item_id BIGINT NOT NULL,
    place BYTEA NOT NULL,
    track_id BIGINT NOT NULL,
    added_by BIGINT NOT NULL,
    added_at BIGINT NOT NULL,
    removed_at BIGINT,
    PRIMARY KEY (playlist_id, item_id)
);
CREATE INDEX playlist_item_by_place ON playlist_item (playlist_id, place, item_id) WHERE removed_at IS NULL;

-- The owner, who may do all, and whoever took an invitation. access: 'owner', 'edit', 'view'.
CREATE TABLE playlist_member (
    user_id BIGINT NOT NULL,
    playlist_id BIGINT NOT NULL,
    access TEXT NOT NULL,
    joined_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, playlist_id)
);
CREATE INDEX playlist_member_by_playlist ON playlist_member (playlist_id, user_id);

-- What a link opens, by the hash of its token. grants: 'share' (a stranger reads), 'edit', 'view'.
CREATE TABLE playlist_link (
    token_hash BYTEA NOT NULL PRIMARY KEY,
    playlist_id BIGINT NOT NULL,
    grants TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT
);
CREATE INDEX playlist_link_by_playlist ON playlist_link (playlist_id, grants)
