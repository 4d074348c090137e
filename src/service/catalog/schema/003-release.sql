-- Edges are warmed with what is announced and what is new.
CREATE INDEX album_by_release ON album (release_date)
    WHERE deleted_at IS NULL AND status = 'published'
