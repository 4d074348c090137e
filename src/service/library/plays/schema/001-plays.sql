-- What people played. All of it is a person's and keyed by user_id first, but the sums over all
-- people. Times are milliseconds UTC.

-- Which plays were told already: their ids are the clients' own, and count once for a person.
CREATE TABLE play_seen (
    user_id BIGINT NOT NULL,
    play_id TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, play_id)
);

-- Made of the event play.recorded, like all below.
CREATE TABLE play_history (
    user_id BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    play_id TEXT NOT NULL,
    track_id BIGINT NOT NULL,
    album_id BIGINT NOT NULL,
    artist_id BIGINT NOT NULL,
    played_ms BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    counted BIGINT NOT NULL,
    source TEXT NOT NULL,
    source_id BIGINT,
    PRIMARY KEY (user_id, started_at, play_id)
);

-- How often somebody heard a track, an album, an artist: plays that count.
CREATE TABLE play_tally (
    user_id BIGINT NOT NULL,
    kind TEXT NOT NULL,
    id BIGINT NOT NULL,
    plays BIGINT NOT NULL,
    played_ms BIGINT NOT NULL,
    first_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, kind, id)
);
CREATE INDEX play_tally_by_plays ON play_tally (user_id, kind, plays, id);
CREATE INDEX play_tally_by_time ON play_tally (user_id, kind, last_at, id);

-- How often all people did, and how many people that are.
CREATE TABLE play_total (
    kind TEXT NOT NULL,
    id BIGINT NOT NULL,
    plays BIGINT NOT NULL,
    listeners BIGINT NOT NULL,
    played_ms BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    PRIMARY KEY (kind, id)
);

-- What somebody hears now.
CREATE TABLE now_playing (
    user_id BIGINT NOT NULL PRIMARY KEY,
    track_id BIGINT NOT NULL,
    position_ms BIGINT NOT NULL,
    paused BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL
);

-- Erased people, whose plays may still be on their way.
CREATE TABLE play_erased (
    user_id BIGINT NOT NULL PRIMARY KEY,
    erased_at BIGINT NOT NULL
)
