/* The index: names that are found as they are typed. One header, an engine a group of files
 * (index_local*.c: a file of each process's own; opensearch*.c: one that all share). It knows
 * nothing of scripts or people: words come folded (service/search), and what is found is an id.
 *
 * A document is a thing of a kind with words in fields and a popularity. It is found by words each
 * of which begins one of its words, up to two typos away, in any order. What is found is ranked by
 * how well it matches (enum index_tier), then popularity, then the newer id; what needs a word of
 * ON comes behind what needs none.
 *
 * The index is derived: it can be built anew from what it was made of at any time, while the old
 * one answers. It knows the place (in the outbox of the source) up to which it holds everything on
 * disk; after a restart changes from there on are to be brought again.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct index;
struct problem;

enum index_kind { INDEX_TRACK, INDEX_ALBUM, INDEX_ARTIST, INDEX_PLAYLIST, INDEX_KINDS_ };

/* Where a word stands. The bag has what is found but not shown: see index_bag. */
enum index_field { INDEX_NAME, INDEX_BY, INDEX_ON, INDEX_BAG, INDEX_FIELDS_ };

/* A word in the bag begins with one of these. */
enum index_bag { INDEX_GENRE = 2, INDEX_YEAR = 3, INDEX_LYRICS = 4 };

enum {
    INDEX_WORD_BYTES_MAX = 64,
    INDEX_FORMS_MAX = 6,  /* of a word that is asked for */
    INDEX_ASKED_MAX = 16, /* words of a query */
    INDEX_HITS_MAX = 200,
    INDEX_TYPOS_MAX = 2,
    INDEX_SHELVES_MAX = 32,
};

/* Words of one position follow each other; all but the first say `also`. */
struct index_word {
    const char *text;
    enum index_field field;
    bool also;   /* another form of the word before */
    bool filler; /* does not count as a position: "the" */
};

struct index_doc {
    enum index_kind kind;
    int64_t id;
    uint32_t popularity;
    const char *key; /* its whole name, folded: equal to a query's key where they are the same */
    int64_t shelf;   /* found by who names it; 0: by everybody */
    const struct index_word *words;
    unsigned word_count;
};

/* A word that is asked for. */
struct index_asked {
    const char *forms[INDEX_FORMS_MAX];
    unsigned form_count;
    unsigned typos_max; /* 0 to INDEX_TYPOS_MAX */
    int field;          /* of enum index_field; -1: any */
    bool whole;         /* not as a prefix (inside quotes) */
    bool filler;        /* raises what has it, misses nothing */
    bool excluded;      /* what has it is not found */
    bool joined;        /* stands right behind the word before (inside quotes) */
};

struct index_query {
    const char *key; /* the whole query as a name */
    struct index_asked asked[INDEX_ASKED_MAX];
    unsigned asked_count;
    const char *genre;               /* folded, as in the bag without its mark; NULL: any */
    int year_first, year_last;       /* 0: any */
    const char *without_genre;       /* what is of it is not found; NULL: none */
    int without_first, without_last; /* nor what is of these years; 0: none */
    unsigned limit;                  /* of each kind, at most INDEX_HITS_MAX */
    /* What stands on other shelves is as if it were not there. */
    int64_t shelves[INDEX_SHELVES_MAX];
    unsigned shelf_count;
    bool every_shelf;
};

enum index_tier {
    INDEX_EXACT,  /* the name and nothing else */
    INDEX_PHRASE, /* whole words side by side in the name, or the whole of BY's */
    INDEX_WHOLE,  /* all words, each whole, anywhere */
    INDEX_BEGUN,  /* as PHRASE, but words are still being typed */
    INDEX_PREFIX,
    INDEX_IN_LYRICS,
    INDEX_ONE_TYPO,
    INDEX_TWO_TYPOS, /* looked for only where there is nothing better */
    INDEX_TIERS_
};

struct index_hit {
    int64_t id;
    uint32_t popularity;
    uint8_t tier, typos;
    bool beside; /* of its tier a lesser one: not without ON; with typos, words far apart */
};

struct index_hits {
    struct index_hit list[INDEX_HITS_MAX];
    unsigned count;
};

/* url: "local:PATH", a file of this process's own, or "opensearch://HOST:PORT/NAME"
 * (opensearch_address.h). Opens what is there; where there is nothing, or what is there is of
 * another version or damaged, or does not answer, the index is empty and index_place negative.
 * ERR_INVALID: the URL. */
int index_open(const char *url, struct index **ret_index, struct problem *problem);
/* Whether one could be asked for by this URL; nothing is opened. Words hold no password. */
int index_url_check(const char *url, struct problem *problem);
void index_close(struct index *index); /* NULL is fine */

/* Up to here everything is on disk; negative: never built. */
int64_t index_place(struct index *index);
/* When it was built, wall ms. */
int64_t index_built_ms(struct index *index);
/* It should be built anew: many changes were made, or what it reads turned out to be damaged. */
bool index_is_worn(struct index *index);

/* What is new (takes the place of what had its kind and id) or gone (word_count 0). Found when it
 * returns. place: all of it was read when the source's outbox was there, or further on; where
 * processes share an index, nothing takes the place of what was read later. Any one thread at a
 * time. ERR_NO_MEMORY; of an engine elsewhere also ERR_UNAVAILABLE and ERR_TIMEOUT: again, then. */
int index_change(struct index *index, const struct index_doc *docs, unsigned count, int64_t place);

/* A new index beside the one that answers, which it replaces at the end: documents in any order,
 * read when the source's outbox was at place, or further on. Changes that are made meanwhile are
 * lost with the old one, so bring those since place again after index_build_end. free gives an
 * unfinished one up. One at a time. Errors as index_change. */
struct index_build;
int index_build_begin(struct index *index, int64_t place, struct index_build **ret_build);
int index_build_add(struct index_build *build, const struct index_doc *doc);
int index_build_end(struct index_build *build, struct problem *problem);
void index_build_free(struct index_build *build); /* NULL is fine */

/* Looks whether another process has put a new index in this one's place, and who brings changes.
 * True: it did, or this process does from now on, and changes since index_place are to be brought.
 * The thread of index_change. */
bool index_look(struct index *index);

/* ---- where processes share one index ----
 *
 * One of them leads: it brings the changes and builds. An index of this process's own is always
 * led by it. */

bool index_is_shared(const struct index *index);
/* index_look wants to be called as often as this, news or not; 0: when there is news. */
int64_t index_pulse_ms(const struct index *index);
/* This process leads, as far as it knows: index_change is safe either way. */
bool index_leads(struct index *index);
/* The leader has brought everything up to here: who leads next goes on from there. The thread of
 * index_change. */
void index_reached(struct index *index, int64_t place);
/* 0, or ERR_UNAVAILABLE and in words why it could not be asked when it was last opened or looked
 * at. Any thread. */
int index_ping(struct index *index, struct problem *problem);

/* Any thread. ERR_NO_MEMORY; of an engine elsewhere also ERR_UNAVAILABLE and ERR_TIMEOUT. */
int index_search(struct index *index, enum index_kind kind, const struct index_query *query,
                 struct index_hits *ret_hits);

struct index_size {
    int64_t docs, words, bytes;
};
void index_size(struct index *index, struct index_size *ret_size);
