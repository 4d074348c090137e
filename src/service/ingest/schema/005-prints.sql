-- Fingerprints of imported files (print.h). state: working (since updated_at, by a process that may
-- have ended), done, failed. words: each second word, little-endian; of a sound that says too little,
-- or failed, none. group_id: the smallest track of those that are one recording; 0: none is known.
CREATE TABLE import_print (
    track_id BIGINT PRIMARY KEY,
    version BIGINT NOT NULL,
    state TEXT NOT NULL,
    words BYTEA,
    duration_ms BIGINT NOT NULL,
    group_id BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX import_print_by_group ON import_print (group_id, track_id) WHERE group_id <> 0;

-- Sketches, by which prints are found.
CREATE TABLE import_print_sketch (
    word BIGINT NOT NULL,
    track_id BIGINT NOT NULL,
    PRIMARY KEY (word, track_id)
);
CREATE INDEX import_print_sketch_by_track ON import_print_sketch (track_id)
