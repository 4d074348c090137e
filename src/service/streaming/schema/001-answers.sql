-- How often a track's addresses were given out on a day (days since 1970, UTC): what edges are warmed
-- by. Kept only where edges are configured, and for a month.
CREATE TABLE streaming_answers (
    day BIGINT NOT NULL,
    track_id BIGINT NOT NULL,
    answers BIGINT NOT NULL,
    PRIMARY KEY (day, track_id)
);

-- Whose turn something is that one process does for all: taken by who finds it long enough ago.
CREATE TABLE streaming_turn (
    name TEXT PRIMARY KEY,
    taken_at BIGINT NOT NULL
);
