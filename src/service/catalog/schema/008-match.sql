-- What else names a track from outside: ids that playlists of other programs carry. recording_mbid
-- is MusicBrainz's of the recording, in small letters; an import fills it.
ALTER TABLE track ADD COLUMN recording_mbid TEXT NOT NULL DEFAULT '';
CREATE INDEX track_by_recording ON track (recording_mbid)
    WHERE deleted_at IS NULL AND recording_mbid <> '';
CREATE INDEX track_by_isrc ON track (isrc) WHERE deleted_at IS NULL AND isrc <> ''
