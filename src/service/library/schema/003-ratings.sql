-- What somebody rates highest first (mark_list_by_value).
CREATE INDEX library_mark_by_value ON library_mark (user_id, what, kind, value, changed_at, id)
    WHERE value <> 0
