CREATE TABLE users (
    user_id BIGINT NOT NULL PRIMARY KEY,
    username TEXT,
    email TEXT,
    display_name TEXT,
    password_hash TEXT,
    roles BIGINT NOT NULL,
    plan TEXT NOT NULL,
    revision BIGINT NOT NULL,
    disabled_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE INDEX users_admins ON users (user_id) WHERE (roles & 4) <> 0 AND deleted_at IS NULL;
CREATE TABLE user_logins (
    login TEXT NOT NULL PRIMARY KEY,
    user_id BIGINT NOT NULL
);
CREATE INDEX user_logins_user ON user_logins (user_id);
CREATE TABLE sessions (
    user_id BIGINT NOT NULL,
    session_id BIGINT NOT NULL,
    address TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, session_id)
);
CREATE TABLE refresh_tokens (
    user_id BIGINT NOT NULL,
    session_id BIGINT NOT NULL,
    token_hash BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    replaced_at BIGINT,
    PRIMARY KEY (user_id, session_id, token_hash)
);
CREATE TABLE reset_tokens (
    user_id BIGINT NOT NULL,
    token_hash BYTEA NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, token_hash)
);
CREATE TABLE setup_codes (
    setup_code_id BIGINT NOT NULL PRIMARY KEY,
    code_hash BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);
