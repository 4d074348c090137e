CREATE TABLE node_lease (
    node BIGINT PRIMARY KEY,
    owner BIGINT NOT NULL,
    lease_until BIGINT NOT NULL,
    floor_id BIGINT NOT NULL
);
