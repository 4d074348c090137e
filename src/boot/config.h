/* Configuration: built-in defaults ← file ← environment ← flags.
 *
 * Every setting is one row of CONFIG_LIST: where it stands in the file (`[section] key = value`),
 * its environment variable (TUTTI_SECTION_KEY), its kind, limits and default. Reading is strict: an
 * unknown section or key, a value out of its limits or a line that is no setting stops the start
 * with the place and with what would be right. Owned by boot; read-only after config_load.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct problem;

enum config_kind {
    CONFIG_TEXT,
    CONFIG_NUMBER, /* decimal, with K, M or G (powers of 1024) */
    CONFIG_SWITCH, /* yes or no */
    CONFIG_SECRET, /* text that config_write masks */
    CONFIG_URL,    /* text whose password config_write masks */
};

/* X(constant, section, key, kind, default, min, max, live: SIGHUP rereads it, help) */
#define CONFIG_LIST(X)                                                                             \
    X(CONFIG_SERVER_LISTEN, "server", "listen", CONFIG_TEXT, "127.0.0.1:4040", 0, 0, false,        \
      "address and port to listen on; loopback unless set")                                        \
    X(CONFIG_SERVER_URL, "server", "url", CONFIG_URL, "", 0, 0, false,                             \
      "what clients see, without a slash at the end; empty: http://localhost:PORT")                \
    X(CONFIG_SERVER_MEDIA_URL, "server", "media_url", CONFIG_URL, "", 0, 0, false,                 \
      "where clients fetch media (an edge); empty: as server.url, or from an S3 store itself")     \
    X(CONFIG_SERVER_BASE_PATH, "server", "base_path", CONFIG_TEXT, "", 0, 0, false,                \
      "path below which everything stands, such as /tutti")                                        \
    X(CONFIG_SERVER_TRUSTED_PROXIES, "server", "trusted_proxies", CONFIG_TEXT, "", 0, 0, true,     \
      "addresses or networks (CIDR) that may say whose address a request has")                     \
    X(CONFIG_SERVER_CORS_ORIGINS, "server", "cors_origins", CONFIG_TEXT, "", 0, 0, true,           \
      "other origins whose pages may use the API; * for any")                                      \
    X(CONFIG_SERVER_HSTS, "server", "hsts_s", CONFIG_NUMBER, "31536000", 0, 63072000, true,        \
      "seconds for which browsers use https alone, said where server.url is https; 0: not said")   \
    X(CONFIG_SERVER_ROLES, "server", "roles", CONFIG_TEXT, "all", 0, 0, false,                     \
      "roles of this process, comma-separated, or all")                                            \
    X(CONFIG_LOG_LEVEL, "log", "level", CONFIG_TEXT, "info", 0, 0, true,                           \
      "error, warning, info or debug")                                                             \
    X(CONFIG_LOG_FORMAT, "log", "format", CONFIG_TEXT, "auto", 0, 0, false,                        \
      "json, text, or auto: text on a terminal")                                                   \
    X(CONFIG_LOG_ACCESS, "log", "access", CONFIG_SWITCH, "yes", 0, 0, true,                        \
      "a line for every request")                                                                  \
    X(CONFIG_TRACE_URL, "trace", "url", CONFIG_URL, "", 0, 0, false,                               \
      "collector of traces by OTLP/HTTP, such as http://127.0.0.1:4318; empty: no traces")         \
    X(CONFIG_TRACE_RATIO, "trace", "ratio", CONFIG_TEXT, "0.01", 0, 0, false,                      \
      "share of the traces that begin here that is recorded, 0 to 1")                              \
    X(CONFIG_LIMIT_LOOPS, "limits", "loop_threads", CONFIG_NUMBER, "0", 0, 256, false,             \
      "loop threads; 0: one a core")                                                               \
    X(CONFIG_LIMIT_POOL, "limits", "pool_threads", CONFIG_NUMBER, "8", 1, 1024, false,             \
      "worker threads for what may block")                                                         \
    X(CONFIG_LIMIT_QUEUE, "limits", "pool_queue", CONFIG_NUMBER, "256", 1, 65536, false,           \
      "requests that may wait for a worker; more are answered 503")                                \
    X(CONFIG_LIMIT_HASHES, "limits", "hash_threads", CONFIG_NUMBER, "0", 0, 64, false,             \
      "threads that hash passwords; 0: half the cores, at least one")                              \
    X(CONFIG_LIMIT_HASH_QUEUE, "limits", "hash_queue", CONFIG_NUMBER, "64", 1, 65536, false,       \
      "log-ins that may wait for one of them; more are answered 503")                              \
    X(CONFIG_LIMIT_CONNECTIONS, "limits", "connections", CONFIG_NUMBER, "10000", 1, 1000000,       \
      false, "connections in all")                                                                 \
    X(CONFIG_LIMIT_PER_ADDRESS, "limits", "connections_per_address", CONFIG_NUMBER, "256", 1,      \
      1000000, true, "connections from one address")                                               \
    X(CONFIG_LIMIT_HEADER, "limits", "header_bytes", CONFIG_NUMBER, "8K", 1024, 1048576, false,    \
      "size of a request's header")                                                                \
    X(CONFIG_LIMIT_MEMORY, "limits", "request_memory", CONFIG_NUMBER, "256M", 1048576,             \
      1099511627776, true, "memory of bodies, upload buffers and answers of all requests in work") \
    X(CONFIG_LIMIT_HEADER_TIME, "limits", "header_timeout_ms", CONFIG_NUMBER, "10000", 100,        \
      600000, true, "time for a request's whole header")                                           \
    X(CONFIG_LIMIT_BODY_TIME, "limits", "body_timeout_ms", CONFIG_NUMBER, "30000", 100, 600000,    \
      true, "time to the next byte of a body")                                                     \
    X(CONFIG_LIMIT_BODY_RATE, "limits", "body_rate", CONFIG_NUMBER, "1024", 0, 1073741824, true,   \
      "least bytes a second of a body, over 10 s")                                                 \
    X(CONFIG_LIMIT_SEND_TIME, "limits", "send_timeout_ms", CONFIG_NUMBER, "60000", 100, 600000,    \
      true, "time in which a client must take send_rate bytes a second of an answer")              \
    X(CONFIG_LIMIT_SEND_RATE, "limits", "send_rate", CONFIG_NUMBER, "128", 0, 1073741824, true,    \
      "least bytes a second a client takes of an answer, over send_timeout_ms")                    \
    X(CONFIG_LIMIT_KEEP_ALIVE, "limits", "keep_alive_ms", CONFIG_NUMBER, "60000", 100, 3600000,    \
      true, "how long an idle connection is kept")                                                 \
    X(CONFIG_LIMIT_DRAIN, "limits", "drain_ms", CONFIG_NUMBER, "10000", 0, 3600000, true,          \
      "how long running requests may take when the server stops")                                  \
    X(CONFIG_LIMIT_NOTICE, "limits", "notice_ms", CONFIG_NUMBER, "0", 0, 600000, false,            \
      "how long /readyz says so before SIGTERM stops the server, so that proxies look elsewhere")  \
    X(CONFIG_RATE_READ, "limits", "reads_per_minute", CONFIG_NUMBER, "3000", 0, 100000000, true,   \
      "reads by one user or address; 0: no limit")                                                 \
    X(CONFIG_RATE_WRITE, "limits", "writes_per_minute", CONFIG_NUMBER, "600", 0, 100000000, true,  \
      "writes by one user or address; 0: no limit")                                                \
    X(CONFIG_RATE_UPLOAD, "limits", "uploads_per_minute", CONFIG_NUMBER, "300", 0, 100000000,      \
      true, "uploads begun by one user or address; 0: no limit")                                   \
    X(CONFIG_RATE_PLAY, "limits", "plays_per_minute", CONFIG_NUMBER, "1200", 0, 100000000, true,   \
      "plays begun by one user or address; 0: no limit")                                           \
    X(CONFIG_RATE_LOGIN, "limits", "logins_per_minute", CONFIG_NUMBER, "60", 0, 100000000, true,   \
      "log-ins and registrations by one address; 0: no limit")                                     \
    X(CONFIG_RATE_OBJECT, "limits", "objects_per_minute", CONFIG_NUMBER, "30000", 0, 100000000,    \
      true, "requests to the object store by one address; 0: no limit")                            \
    X(CONFIG_TIGHTEN, "limits", "tighten_delay_ms", CONFIG_NUMBER, "50", 0, 600000, true,          \
      "queue delay from which rates tighten; 0: never")                                            \
    X(CONFIG_SHED, "limits", "shed_delay_ms", CONFIG_NUMBER, "500", 0, 600000, true,               \
      "wait for a worker from which work is refused, strangers' first; 0: never")                  \
    X(CONFIG_DEADLINE_READ, "limits", "read_deadline_ms", CONFIG_NUMBER, "10000", 0, 3600000,      \
      true, "time from a whole request to its answer: reads; 0: none")                             \
    X(CONFIG_DEADLINE_WRITE, "limits", "write_deadline_ms", CONFIG_NUMBER, "20000", 0, 3600000,    \
      true, "the same of writes")                                                                  \
    X(CONFIG_DEADLINE_UPLOAD, "limits", "upload_deadline_ms", CONFIG_NUMBER, "120000", 0, 3600000, \
      true, "the same of uploads begun and completed")                                             \
    X(CONFIG_DEADLINE_PLAY, "limits", "play_deadline_ms", CONFIG_NUMBER, "10000", 0, 3600000,      \
      true, "the same of plays begun")                                                             \
    X(CONFIG_DEADLINE_LOGIN, "limits", "login_deadline_ms", CONFIG_NUMBER, "20000", 0, 3600000,    \
      true, "the same of log-ins and registrations")                                               \
    X(CONFIG_DEADLINE_OBJECT, "limits", "object_deadline_ms", CONFIG_NUMBER, "300000", 0, 3600000, \
      true, "the same of requests to the object store")                                            \
    X(CONFIG_DATABASE_CATALOG, "database", "catalog", CONFIG_URL, "", 0, 0, false,                 \
      "sqlite:PATH or postgresql://USER[:PASSWORD]@HOST[:PORT]/DATABASE, with ?pool=transaction "  \
      "behind a pooler of transactions; empty: DATA/catalog.db")                                   \
    X(CONFIG_DATABASE_USERS, "database", "users", CONFIG_URL, "", 0, 0, false,                     \
      "as catalog; empty: DATA/users.db")                                                          \
    X(CONFIG_DATABASE_ACTIVITY, "database", "activity", CONFIG_URL, "", 0, 0, false,               \
      "plays and what is counted from them, as catalog; empty: DATA/activity.db, which "           \
      "processes on other machines would not share: set it where catalog is PostgreSQL")           \
    X(CONFIG_DATABASE_CATALOG_REPLICAS, "database", "catalog_replicas", CONFIG_URL, "", 0, 0,      \
      false, "PostgreSQL's read replicas: their URLs, separated by spaces")                        \
    X(CONFIG_DATABASE_USERS_REPLICAS, "database", "users_replicas", CONFIG_URL, "", 0, 0, false,   \
      "as catalog_replicas")                                                                       \
    X(CONFIG_DATABASE_ACTIVITY_REPLICAS, "database", "activity_replicas", CONFIG_URL, "", 0, 0,    \
      false, "as catalog_replicas")                                                                \
    X(CONFIG_DATABASE_CATALOG_DIRECT, "database", "catalog_direct", CONFIG_URL, "", 0, 0, false,   \
      "PostgreSQL's URL past a pooler, for locks, notifications and migrations; empty: catalog")   \
    X(CONFIG_DATABASE_USERS_DIRECT, "database", "users_direct", CONFIG_URL, "", 0, 0, false,       \
      "as catalog_direct")                                                                         \
    X(CONFIG_DATABASE_ACTIVITY_DIRECT, "database", "activity_direct", CONFIG_URL, "", 0, 0, false, \
      "as catalog_direct")                                                                         \
    X(CONFIG_DATABASE_CONNECTIONS, "database", "connections", CONFIG_NUMBER, "8", 1, 1000, false,  \
      "connections of this process to each PostgreSQL server, opened as needed; one more a "       \
      "database is its direct one")                                                                \
    X(CONFIG_DATABASE_STATEMENT, "database", "statement_timeout_ms", CONFIG_NUMBER, "30000", 100,  \
      3600000, false, "how long a statement may run on PostgreSQL")                                \
    X(CONFIG_DATABASE_LOCK, "database", "lock_timeout_ms", CONFIG_NUMBER, "5000", 100, 3600000,    \
      false, "how long a statement may wait for another's lock on PostgreSQL")                     \
    X(CONFIG_DATABASE_WAIT, "database", "wait_ms", CONFIG_NUMBER, "10000", 100, 600000, false,     \
      "how long a request waits for a free connection, or for a new primary, before it is "        \
      "answered 503")                                                                              \
    X(CONFIG_DATABASE_LAG, "database", "replica_lag_ms", CONFIG_NUMBER, "5000", 500, 60000, false, \
      "a replica that is further behind is not read")                                              \
    X(CONFIG_BLOB_STORE, "blob", "store", CONFIG_URL, "", 0, 0, false,                             \
      "file:DIR, or s3://KEY:SECRET@HOST/BUCKET?region=…&tls=yes|no&path_style=yes|no "          \
      "(percent-encoded; upload_key=ID&upload_secret=SECRET sign what clients PUT); empty: "       \
      "DATA/objects")                                                                              \
    X(CONFIG_BLOB_PUBLIC_URL, "blob", "public_url", CONFIG_URL, "", 0, 0, false,                   \
      "where clients reach the store; empty: server.url/s3, or the S3 store's own address")        \
    X(CONFIG_BLOB_ENCRYPT, "blob", "encrypt", CONFIG_SWITCH, "no", 0, 0, false,                    \
      "encrypt at rest what is stored from now on, with the keys in keys.store/blob-keys")         \
    X(CONFIG_BLOB_S3_HOST, "blob", "s3_host", CONFIG_TEXT, "", 0, 0, false,                        \
      "a host name under which the store stands at /, for S3 clients that take no path; empty: "   \
      "none")                                                                                      \
    X(CONFIG_CACHE_STORE, "cache", "store", CONFIG_URL, "memory:", 0, 0, false,                    \
      "memory:, or what processes share besides databases and objects (cache, rate limits, "       \
      "revocations): redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE], or by Sentinels "           \
      "redis://HOST:26379,HOST:26379?sentinel=NAME")                                               \
    X(CONFIG_CACHE_BYTES, "cache", "bytes", CONFIG_NUMBER, "16M", 65536, 1099511627776, false,     \
      "bound of the in-process cache; it grows only with use")                                     \
    X(CONFIG_BUS_STORE, "bus", "store", CONFIG_URL, "local:", 0, 0, false,                         \
      "local:, or kafka://[USER:PASSWORD@]HOST:PORT,HOST:PORT[?OPTION=VALUE&…]")                   \
    X(CONFIG_SEARCH_STORE, "search", "store", CONFIG_URL, "", 0, 0, false,                         \
      "local:PATH, an index of this machine's own, made of the catalogue, or one that all "        \
      "processes "                                                                                 \
      "share: opensearch://[USER:PASSWORD@]HOST:PORT,HOST:PORT[/NAME][?OPTION=VALUE&…]; empty: " \
      "local:DATA/search.idx")                                                                     \
    X(CONFIG_KEYS_STORE, "keys", "store", CONFIG_TEXT, "", 0, 0, false,                            \
      "directory of signing keys; empty: DATA/keys")                                               \
    X(CONFIG_EDGE_URLS, "edge", "urls", CONFIG_TEXT, "", 0, 0, false,                              \
      "edges that are told what to forget and what to have, http://HOST:PORT each, with commas "   \
      "between; empty: none")                                                                      \
    X(CONFIG_EDGE_WARM, "edge", "warm_tracks", CONFIG_NUMBER, "500", 1, 10000, false,              \
      "tracks that edges are kept warm with: so many that are asked for most, and as many of "     \
      "albums that are announced or new")                                                          \
    X(CONFIG_EDGE_INTERVAL, "edge", "warm_interval_s", CONFIG_NUMBER, "300", 1, 86400, false,      \
      "time from one round of warming to the next")                                                \
    X(CONFIG_EDGE_KEY_DELAY, "edge", "key_delay_s", CONFIG_NUMBER, "0", 0, 25200, true,            \
      "time from `tutti keys rotate` to the first media URL signed by the new key, in which "      \
      "edges are brought it")                                                                      \
    X(CONFIG_MAIL_URL, "mail", "url", CONFIG_URL, "", 0, 0, false,                                 \
      "smtp://[USER:PASSWORD@]HOST:PORT or smtps://…; empty: no mail")                             \
    X(CONFIG_MAIL_FROM, "mail", "from", CONFIG_TEXT, "Tutti <tutti@localhost>", 0, 0, false,       \
      "sender of mails")                                                                           \
    X(CONFIG_PLAN_DEFAULT, "plan", "default", CONFIG_TEXT, "premium", 0, 0, false,                 \
      "plan of those who have none: free or premium")                                              \
    X(CONFIG_IMPORT_FOLDERS, "import", "folders", CONFIG_TEXT, "", 0, 0, false,                    \
      "folders of music that the catalogue follows, with commas between; empty: none")             \
    X(CONFIG_IMPORT_INTERVAL, "import", "interval_s", CONFIG_NUMBER, "3600", 60, 2592000, false,   \
      "seconds between two looks at them, whatever was heard")                                     \
    X(CONFIG_IMPORT_WATCH, "import", "watch", CONFIG_TEXT, "auto", 0, 0, false,                    \
      "auto: the system tells of changes in them (inotify), but for file systems of a network, "   \
      "which are polled; poll: all are")                                                           \
    X(CONFIG_IMPORT_POLL, "import", "poll_s", CONFIG_NUMBER, "300", 1, 86400, false,               \
      "seconds between two looks at what is polled")                                               \
    X(CONFIG_IMPORT_MISSING_MAX, "import", "missing_max", CONFIG_NUMBER, "50", 0, 100, false,      \
      "percent of a folder's files that one look may find gone (and 20 files in any case) before " \
      "it holds back and asks")                                                                    \
    X(CONFIG_IMPORT_FINGERPRINTS, "import", "fingerprints_percent", CONFIG_NUMBER, "50", 0, 100,   \
      false, "of a core, for the fingerprints by which duplicates are found; 0: none are made")    \
    X(CONFIG_IMPORT_MODE, "import", "mode", CONFIG_TEXT, "reference", 0, 0, false,                 \
      "reference: files stay where they are; copy: into the store, as always with an S3 store")    \
    X(CONFIG_IMPORT_RENDITIONS, "import", "renditions", CONFIG_TEXT, "demand", 0, 0, false,        \
      "demand: other renditions of an imported file are made when somebody plays it; ahead: at "   \
      "once")                                                                                      \
    X(CONFIG_IMPORT_RUNGS, "import", "rungs_max_bytes", CONFIG_NUMBER, "50G", 0, 1125899906842624, \
      false,                                                                                       \
      "renditions kept beside files that stay where they are: beyond it those played "             \
      "longest ago go, and are made again when they are played; 0: all are kept")                  \
    X(CONFIG_INGEST_UPLOAD_BYTES, "ingest", "upload_bytes", CONFIG_NUMBER, "2G", 1, 5497558138880, \
      false, "largest file an artist may upload")                                                  \
    X(CONFIG_INGEST_QUOTA_BYTES, "ingest", "quota_bytes", CONFIG_NUMBER, "200G", 1,                \
      1125899906842624, false, "originals an artist may keep, in sum")                             \
    X(CONFIG_TRANSCODE_WORKERS, "transcode", "workers", CONFIG_NUMBER, "0", 0, 256, false,         \
      "jobs at the same time in this process; 0: by its cores")                                    \
    X(CONFIG_TRANSCODE_MEDIA, "transcode", "media_program", CONFIG_TEXT, "", 0, 0, false,          \
      "path of tutti-media; empty: beside tutti")

enum config_setting {
#define X(constant, section, key, kind, fallback, min, max, live, help) constant,
    CONFIG_LIST(X)
#undef X
        CONFIG_SETTINGS_
};

struct config;

struct config_row {
    const char *section, *key;
    enum config_kind kind;
    const char *fallback;
    int64_t min, max;
    bool live;
    const char *help;
};
const struct config_row *config_row(enum config_setting setting);

/* Sources in their order; NULL members are left out. environment as in environ(7). */
struct config_sources {
    const char *file;         /* must exist */
    const char *default_file; /* read if it exists */
    char *const *environment;
    const char *data; /* --data; NULL: by XDG_DATA_HOME, HOME */
    struct config_flag {
        enum config_setting setting;
        const char *value;
    } flags[8];
    unsigned flag_count;
};

/* The configuration, ready to use: empty settings that follow from others are filled in.
 * ERR_INVALID with one line of words. The result is the caller's. */
int config_load(const struct config_sources *sources, struct config **ret_config,
                struct problem *problem);
void config_free(struct config *config);

/* Borrowed text, never NULL. */
const char *config_text(const struct config *config, enum config_setting setting);
/* True where somebody set it: it is neither the default nor what followed from others. */
bool config_is_set(const struct config *config, enum config_setting setting);
int64_t config_number(const struct config *config, enum config_setting setting);
bool config_switch(const struct config *config, enum config_setting setting);
const char *config_data(const struct config *config); /* the data directory */

/* All settings, or those of one section, as a file that config_load takes, secrets masked, each
 * with where it came from. false: there is no such section. */
bool config_write(const struct config *config, const char *section, FILE *out);
/* The first setting that came from a file and holds a password or key; NULL: there is none. */
const struct config_row *config_secret_of_file(const struct config *config);
/* Those that came from the environment, "TUTTI_SECTION_KEY=value" a line, unmasked. */
void config_write_environment(const struct config *config, FILE *out);
/* The place of the configuration's text parser, for tests and fuzzing: sets from INI text. */
int config_read_text(struct config *config, const char *name, const char *text,
                     struct problem *problem);
int config_new(struct config **ret_config);
