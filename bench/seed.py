#!/usr/bin/env python3
"""seed.py CATALOG TRACK UPTO: fills a catalog database with copies of one whole track of it, until it has UPTO
tracks in albums of ten and artists of fifty, with titles that are the same at each run. No server may have the
database open. Each copy can be played as the first one can: its rows are all there (one rendition of
thirteen), and its files are never asked for.

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


def columns(database, table):
    return [row[1] for row in database.execute(f"PRAGMA table_info({table})")]


def copy(database, table, where, changed, numbers):
    """One INSERT: for each number (n) a copy of the row where holds for, with columns changed."""
    names = columns(database, table)
    values = ", ".join(changed.get(name, f"t.{name}") for name in names)
    database.execute(f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {numbers} CROSS JOIN {table} t"
                     f" WHERE {where}")


def number_title(database):
    def title(n, salt):
        mixed = (n * 2654435761 + salt * 97) & 0xffffffff
        return " ".join((WORDS[mixed % len(WORDS)], WORDS[mixed // 211 % len(WORDS)], str(n))).capitalize()
    database.create_function("title", 2, title, deterministic=True)


def seed(path, track, upto):
    database = sqlite3.connect(path, isolation_level=None)
    number_title(database)
    for pragma in ("synchronous = OFF", "cache_size = -400000", "temp_store = MEMORY"):
        database.execute(f"PRAGMA {pragma}")
    track = int(track)
    album, artist, version = database.execute("SELECT album_id, artist_id, version FROM track WHERE id = ?",
                                              (track,)).fetchone()
    there = database.execute("SELECT COUNT(*) FROM track").fetchone()[0]
    database.execute("BEGIN")
    database.execute("CREATE TEMP TABLE numbers (n INTEGER PRIMARY KEY)")
    database.execute("WITH RECURSIVE c(n) AS (SELECT ? UNION ALL SELECT n + 1 FROM c WHERE n + 1 < ?)"
                     " INSERT INTO numbers SELECT n FROM c WHERE n < ?", (there, upto, upto))

    def every(step):
        return f"(SELECT n / {step} AS n FROM numbers WHERE n % {step} = 0 OR n = 1)"

    an_artist, an_album = f"{artist} - 1 - n / {PER_ARTIST}", f"{album} - 1 - n / {PER_ALBUM}"
    copy(database, "artist", f"t.id = {artist}", {
        "id": f"{artist} - 1 - n", "name": "title(n, 1)", "name_key": "lower(title(n, 1))"}, every(PER_ARTIST))
    copy(database, "album", f"t.id = {album}", {
        "id": f"{album} - 1 - n", "artist_id": f"{artist} - 1 - n * {PER_ALBUM} / {PER_ARTIST}", "title": "title(n, 2)",
        "title_key": "lower(title(n, 2))", "track_count": str(PER_ALBUM), "status": "'published'"}, every(PER_ALBUM))
    copy(database, "track", f"t.id = {track}", {
        "id": f"{track} - n", "album_id": an_album, "artist_id": an_artist, "title": "title(n, 3)",
        "title_key": "lower(title(n, 3))", "track_number": f"n % {PER_ALBUM} + 1", "published": "1"}, "numbers")
    copy(database, "track_version", f"t.track_id = {track} AND t.version = {version}",
         {"track_id": f"{track} - n"}, "numbers")
    copy(database, "rendition", f"t.track_id = {track} AND t.version = {version} AND t.file = 'aac-160.mp4'",
         {"track_id": f"{track} - n"}, "numbers")
    database.execute("COMMIT")
    database.execute("DROP TABLE numbers")
    database.execute("ANALYZE")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


if __name__ == "__main__":
    seed(sys.argv[1], sys.argv[2], int(sys.argv[3]))
