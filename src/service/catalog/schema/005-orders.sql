-- Albums by the date of the music and in a random order (album_order_store.c). Both are of
-- expressions, so that no column has to be kept, or filled; queries have them word by word.
CREATE INDEX album_by_year
    ON album ((CASE WHEN original_date <> '' THEN original_date ELSE release_date END), id)
    WHERE deleted_at IS NULL AND status = 'published';
CREATE INDEX album_by_ring ON album ((id % 2147483648 * 1103515245 % 2147483648), id)
    WHERE deleted_at IS NULL AND status = 'published'
