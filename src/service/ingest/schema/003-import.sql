-- Folders of music that were imported. Paths are text: bytes that are no UTF-8, control characters
-- and "%" stand as %XX. owner_user_id is the admin whose the music is.
CREATE TABLE import_library (
    id BIGINT PRIMARY KEY,
    path TEXT NOT NULL,
    owner_user_id BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX import_library_by_path ON import_library (path);

-- path is relative to the library's, "" for itself.
CREATE TABLE import_folder (
    id BIGINT PRIMARY KEY,
    library_id BIGINT NOT NULL,
    path TEXT NOT NULL
);
CREATE UNIQUE INDEX import_folder_by_path ON import_folder (library_id, path);

-- A file and the track made of it. state: present, missing (it was there, its track waits), broken
-- (track_id 0 if it never was another; reason says why), dropped (its track was deleted by hand: it
-- is not made anew). hash names the sound (media/sound_hash.h), by which a file is found that was moved.
CREATE TABLE import_file (
    id BIGINT PRIMARY KEY,
    library_id BIGINT NOT NULL,
    folder_id BIGINT NOT NULL,
    name TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    mtime_ns BIGINT NOT NULL,
    hash TEXT NOT NULL,
    track_id BIGINT NOT NULL,
    version BIGINT NOT NULL,
    state TEXT NOT NULL,
    code TEXT NOT NULL,
    reason TEXT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX import_file_by_name ON import_file (folder_id, name);
CREATE INDEX import_file_by_hash ON import_file (hash) WHERE hash <> '';
CREATE INDEX import_file_by_track ON import_file (track_id) WHERE track_id <> 0;
CREATE INDEX import_file_troubled ON import_file (library_id, id) WHERE state <> 'present';

-- By which names of files an artist or album of the catalogue is found again: its id in MusicBrainz,
-- its folded name, its folder.
CREATE TABLE import_name (
    owner_user_id BIGINT NOT NULL,
    name_key TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject_id BIGINT NOT NULL,
    PRIMARY KEY (owner_user_id, kind, name_key)
);

-- A going through a library: running, done, failed, stopped. counts is a JSON object.
CREATE TABLE import_run (
    id BIGINT PRIMARY KEY,
    library_id BIGINT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    counts TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    ended_at BIGINT
);
CREATE INDEX import_run_by_library ON import_run (library_id, id)
