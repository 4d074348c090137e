-- How often the list was numbered anew: a page goes on at its cursor's item, no longer at its place, where that is not the one of then.
ALTER TABLE playlist ADD COLUMN numbered BIGINT NOT NULL DEFAULT 0
