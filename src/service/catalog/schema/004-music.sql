-- What collections know of their music. The sort names order lists where they are given (name_key and
-- title_key are made of them). The ids are MusicBrainz's. disc_titles is a JSON object, "2" to the
-- title of disc 2. details is a JSON object of what answers show of a track and nothing searches by
-- SQL (catalog.h: struct catalog_track_facts); missing is 1 while its outside file is not there.
ALTER TABLE artist ADD COLUMN sort_name TEXT NOT NULL DEFAULT '';
ALTER TABLE artist ADD COLUMN mbid TEXT NOT NULL DEFAULT '';
ALTER TABLE album ADD COLUMN sort_title TEXT NOT NULL DEFAULT '';
ALTER TABLE album ADD COLUMN original_date TEXT NOT NULL DEFAULT '';
ALTER TABLE album ADD COLUMN mbid TEXT NOT NULL DEFAULT '';
ALTER TABLE album ADD COLUMN group_mbid TEXT NOT NULL DEFAULT '';
ALTER TABLE album ADD COLUMN disc_titles TEXT NOT NULL DEFAULT '{}';
ALTER TABLE track ADD COLUMN details TEXT NOT NULL DEFAULT '{}';
ALTER TABLE track ADD COLUMN missing BIGINT NOT NULL DEFAULT 0;

-- The artists a track is credited to, in the order of the credit, where there are others than its
-- own.
CREATE TABLE track_artist (
    track_id BIGINT NOT NULL,
    artist_id BIGINT NOT NULL,
    place BIGINT NOT NULL,
    PRIMARY KEY (track_id, artist_id)
);
CREATE INDEX track_artist_by_artist ON track_artist (artist_id, track_id);

-- outside is 1 where the original is a file that stays where it is, in a folder of the machine: the
-- store has no object for it.
ALTER TABLE track_version ADD COLUMN outside BIGINT NOT NULL DEFAULT 0
