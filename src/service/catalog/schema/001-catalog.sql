-- Artists, albums, tracks and what hangs on them. Times are milliseconds UTC. A row with deleted_at
-- is a tombstone: its text is gone, its id is never given out again. The *_key columns hold the
-- case-folded text that lists are sorted by; revision counts what clients wrote (the ETag).
CREATE TABLE artist (
    id BIGINT PRIMARY KEY,
    owner_user_id BIGINT NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    bio TEXT NOT NULL,
    image_art_id BIGINT,
    pending_art_id BIGINT,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE INDEX artist_by_name ON artist (name_key, id) WHERE deleted_at IS NULL;
CREATE INDEX artist_by_created ON artist (id) WHERE deleted_at IS NULL;
CREATE INDEX artist_by_owner ON artist (owner_user_id, id) WHERE deleted_at IS NULL;

-- track_count, duration_ms, lufs, peak_db and working are computed from the tracks (album_refresh)
-- in the transaction that changes one of them.
CREATE TABLE album (
    id BIGINT PRIMARY KEY,
    artist_id BIGINT NOT NULL,
    title TEXT NOT NULL,
    title_key TEXT NOT NULL,
    type TEXT NOT NULL,
    status TEXT NOT NULL,
    release_date TEXT NOT NULL,
    genres TEXT NOT NULL,
    cover_art_id BIGINT,
    pending_art_id BIGINT,
    track_count BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    lufs DOUBLE PRECISION,
    peak_db DOUBLE PRECISION,
    working BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE INDEX album_by_title ON album (title_key, id)
    WHERE deleted_at IS NULL AND status = 'published';
CREATE INDEX album_by_created ON album (id) WHERE deleted_at IS NULL AND status = 'published';
CREATE INDEX album_by_artist ON album (artist_id, id) WHERE deleted_at IS NULL;

-- A genre exists from its first use; albums counts the published ones that carry it.
CREATE TABLE genre (
    name_key TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    albums BIGINT NOT NULL
);

-- One row a genre of a living album; published repeats the album's status for the index's sake.
CREATE TABLE album_genre (
    name_key TEXT NOT NULL,
    album_id BIGINT NOT NULL,
    title_key TEXT NOT NULL,
    published BIGINT NOT NULL,
    PRIMARY KEY (name_key, album_id)
);
CREATE INDEX album_genre_by_title ON album_genre (name_key, title_key, album_id);
CREATE INDEX album_genre_by_album ON album_genre (album_id);

-- version plays, or is on its way to while none plays; pending_version waits to take over. working
-- is 1 while a worker may still change what the track shows.
CREATE TABLE track (
    id BIGINT PRIMARY KEY,
    album_id BIGINT NOT NULL,
    artist_id BIGINT NOT NULL,
    title TEXT NOT NULL,
    title_key TEXT NOT NULL,
    track_number BIGINT NOT NULL,
    disc_number BIGINT NOT NULL,
    explicit BIGINT NOT NULL,
    isrc TEXT NOT NULL,
    has_lyrics BIGINT NOT NULL,
    published BIGINT NOT NULL,
    status TEXT NOT NULL,
    failure_code TEXT NOT NULL,
    failure_reason TEXT NOT NULL,
    version BIGINT NOT NULL,
    pending_version BIGINT NOT NULL,
    version_last BIGINT NOT NULL,
    working BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE INDEX track_by_album ON track (album_id, disc_number, track_number, id)
    WHERE deleted_at IS NULL;
CREATE INDEX track_by_artist ON track (artist_id, id) WHERE deleted_at IS NULL;
CREATE INDEX track_by_title ON track (title_key, id) WHERE deleted_at IS NULL AND published = 1;
CREATE INDEX track_by_created ON track (id) WHERE deleted_at IS NULL AND published = 1;

CREATE INDEX track_by_deletion ON track (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE track_lyrics (
    track_id BIGINT PRIMARY KEY,
    text TEXT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- A file of a track. histogram counts gating blocks (loudness.h); summary is the JSON list of
-- renditions that answers show.
CREATE TABLE track_version (
    track_id BIGINT NOT NULL,
    version BIGINT NOT NULL,
    owner_user_id BIGINT NOT NULL,
    source_key TEXT NOT NULL,
    source_bytes BIGINT NOT NULL,
    filename TEXT NOT NULL,
    codec TEXT NOT NULL,
    rate BIGINT NOT NULL,
    channels BIGINT NOT NULL,
    lossless BIGINT NOT NULL,
    samples BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    track_lufs DOUBLE PRECISION,
    true_peak_db DOUBLE PRECISION,
    histogram BYTEA,
    expected BIGINT NOT NULL,
    done BIGINT NOT NULL,
    summary TEXT NOT NULL,
    playable BIGINT NOT NULL,
    complete BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    removed_at BIGINT,
    PRIMARY KEY (track_id, version)
);
CREATE INDEX track_version_by_owner ON track_version (owner_user_id) WHERE removed_at IS NULL;

CREATE TABLE rendition (
    track_id BIGINT NOT NULL,
    version BIGINT NOT NULL,
    file TEXT NOT NULL,
    format TEXT NOT NULL,
    bitrate BIGINT NOT NULL,
    mime TEXT NOT NULL,
    codecs TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    samples BIGINT NOT NULL,
    timescale BIGINT NOT NULL,
    channels BIGINT NOT NULL,
    init_bytes BIGINT NOT NULL,
    index_bytes BIGINT NOT NULL,
    first_fragment_end BIGINT NOT NULL,
    bandwidth_peak BIGINT NOT NULL,
    bandwidth_average BIGINT NOT NULL,
    fragments BYTEA,
    PRIMARY KEY (track_id, version, file)
);

-- A picture: the original as it came and, once ready, its fixed sizes.
CREATE TABLE art (
    id BIGINT PRIMARY KEY,
    owner_kind TEXT NOT NULL,
    owner_id BIGINT NOT NULL,
    status TEXT NOT NULL,
    mime TEXT NOT NULL,
    object_key TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    width BIGINT NOT NULL,
    height BIGINT NOT NULL,
    reason TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE INDEX art_by_owner ON art (owner_kind, owner_id);

-- Objects that go once no token can name them any more: all keys of the bucket with the prefix.
CREATE TABLE cleanup (
    bucket TEXT NOT NULL,
    prefix TEXT NOT NULL,
    due_at BIGINT NOT NULL,
    PRIMARY KEY (bucket, prefix)
);
CREATE INDEX cleanup_by_due ON cleanup (due_at)
