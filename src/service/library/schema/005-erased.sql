-- Erased people, whose tokens may still be good for some minutes.
CREATE TABLE library_erased (
    user_id BIGINT NOT NULL PRIMARY KEY,
    erased_at BIGINT NOT NULL
)
