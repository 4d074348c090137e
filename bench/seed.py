#!/usr/bin/env python3
"""seed.py CATALOG TRACK UPTO: fills a catalog database with copies of one whole track of it, until it has UPTO
tracks in albums of ten and artists of fifty, with titles that are the same at each run. No server may have the
database open. Each copy can be played as the first one can: its rows are all there (one rendition of
thirteen), and its files are never asked for. seed_postgresql() does the same there. For lists alone
that is 6 KB a track too many: playable=False leaves those rows out.

The copies are older than the track, so that ids that the server makes never meet them.
"""
import sqlite3
import sys

PER_ALBUM, PER_ARTIST = 10, 50
WORDS = ("amber ash autumn blue bell bird black bone bridge bright broken candle cedar cloud cold copper coral crow dawn "
         "deep delta dream dust early east echo ember empty end evening fall far fern field fire first flood fog forest "
         "frost garden ghost glass gold grace green grey half harbor heart heavy hill hollow home honey hour ice iron "
         "island ivory journey june kind lake lamp last late leaf light line little lone long lost low maple march "
         "meadow mercy mile mirror mist moon morning moss motion mountain night north nowhere oak ocean old open orchard "
         "paper parade path pearl pine quiet rain raven red return ribbon river road root rose ruin rust salt sand "
         "sea season second seven shadow shell shore silver sky sleep slow smoke snow song south spark spring star "
         "station still stone storm stranger summer sun swallow tall thread thunder tide timber town train under valley "
         "velvet violet wander water wave west white wild willow wind window winter wire wolf wonder wood yellow").split()


PORTION = 200_000  # tracks that are made in one transaction, so that the log stays small


def copy(columns_of, table, where, changed, numbers):
    """One INSERT: for each number (n) a copy of the row where holds for, with columns changed."""
    names = columns_of(table)
    values = ", ".join(changed.get(name, f"t.{name}") for name in names)
    return (f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {numbers} CROSS JOIN {table} t"
            f" WHERE {where}")


def copies(columns_of, playable, track, album, artist, version):
    """Statements that make a copy of the track for each n of the table numbers, by the function title(n, salt)."""

    def every(step):
        return f"(SELECT n / {step} AS n FROM numbers WHERE n % {step} = 0 OR n = 1) AS steps"

    an_artist, an_album = f"{artist} - 1 - n / {PER_ARTIST}", f"{album} - 1 - n / {PER_ALBUM}"
    yield copy(columns_of, "artist", f"t.id = {artist}", {
        "id": f"{artist} - 1 - n", "name": "title(n, 1)", "name_key": "lower(title(n, 1))",
        "index_key": "upper(substr(title(n, 1), 1, 1)) || ' ' || lower(title(n, 1))"}, every(PER_ARTIST))
    yield copy(columns_of, "album", f"t.id = {album}", {
        "id": f"{album} - 1 - n", "artist_id": f"{artist} - 1 - n * {PER_ALBUM} / {PER_ARTIST}", "title": "title(n, 2)",
        "title_key": "lower(title(n, 2))", "track_count": str(PER_ALBUM), "status": "'published'",
        "release_date": "(1950 + n % 75) || '-05-01'"}, every(PER_ALBUM))
    yield copy(columns_of, "track", f"t.id = {track}", {
        "id": f"{track} - n", "album_id": an_album, "artist_id": an_artist, "title": "title(n, 3)",
        "title_key": "lower(title(n, 3))", "track_number": f"n % {PER_ALBUM} + 1", "published": "1"}, "numbers")
    if not playable:
        return
    yield copy(columns_of, "track_version", f"t.track_id = {track} AND t.version = {version}",
               {"track_id": f"{track} - n"}, "numbers")
    yield copy(columns_of, "rendition", f"t.track_id = {track} AND t.version = {version} AND t.file = 'aac-160.mp4'",
               {"track_id": f"{track} - n"}, "numbers")


def number_title(database):
    def title(n, salt):
        mixed = (n * 2654435761 + salt * 97) & 0xffffffff
        return " ".join((WORDS[mixed % len(WORDS)], WORDS[mixed // 211 % len(WORDS)], str(n))).capitalize()
    database.create_function("title", 2, title, deterministic=True)


OF_TRACK = "SELECT album_id, artist_id, version FROM track WHERE id = {}"


def seed(path, track, upto, playable=True):
    database = sqlite3.connect(path, isolation_level=None)
    number_title(database)
    for pragma in ("synchronous = OFF", "cache_size = -400000", "temp_store = MEMORY"):
        database.execute(f"PRAGMA {pragma}")
    track = int(track)
    row = database.execute(OF_TRACK.format(track)).fetchone()
    there = database.execute("SELECT COUNT(*) FROM track").fetchone()[0]
    database.execute("CREATE TEMP TABLE numbers (n INTEGER PRIMARY KEY)")
    statements = list(copies(lambda table: [column[1] for column in database.execute(f"PRAGMA table_info({table})")], playable, track, *row))
    for begin in range(0, upto, PORTION):
        database.execute("BEGIN")
        database.execute("DELETE FROM numbers")
        database.execute("WITH RECURSIVE c(n) AS (SELECT ? UNION ALL SELECT n + 1 FROM c WHERE n + 1 < ?)"
                         " INSERT INTO numbers SELECT n FROM c WHERE n >= ?", (begin, min(begin + PORTION, upto), there))
        for statement in statements:
            database.execute(statement)
        database.execute("COMMIT")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.execute("DROP TABLE numbers")
    database.execute("ANALYZE")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


TITLE = """CREATE FUNCTION pg_temp.title(n BIGINT, salt BIGINT) RETURNS TEXT LANGUAGE SQL IMMUTABLE AS $$
SELECT upper(left(words[m % count + 1], 1)) || substr(words[m % count + 1], 2) || ' ' || words[m / 211 % count + 1] || ' ' || n
FROM (SELECT (n * 2654435761 + salt * 97) & 4294967295 AS m, string_to_array('{words}', ' ') AS words, {count}::BIGINT AS count) AS made $$;
"""


def seed_postgresql(server, name, track, upto, playable=True):
    """Of a database of tests/engines/postgres.py that has the one track, before a server has it open."""
    row = server.ask(name, OF_TRACK.format(int(track))).split("|")
    title = TITLE.format(words=" ".join(WORDS), count=len(WORDS))

    def columns_of(table):
        return server.ask(name, f"SELECT column_name FROM information_schema.columns WHERE table_name = '{table}'").split()

    statements = [one.replace("title(", "pg_temp.title(") for one in copies(columns_of, playable, int(track), *row)]
    for begin in range(0, upto, PORTION):
        numbers = (f"CREATE TEMP TABLE numbers AS SELECT n::BIGINT AS n FROM"
                   f" generate_series({max(begin, 1)}, {min(begin + PORTION, upto) - 1}) AS n; ANALYZE numbers")
        server.ask(name, title + ";\n".join([numbers, *statements]), timeout_s=600)
    server.ask(name, "VACUUM ANALYZE", timeout_s=3600)  # or the server does it while it is measured


if __name__ == "__main__":
    seed(sys.argv[1], sys.argv[2], int(sys.argv[3]))
