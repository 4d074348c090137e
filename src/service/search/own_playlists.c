/* Playlists in an answer: those of who asks, their own and those they joined, by the words of their
 * titles, typos forgiven. They are few (5,000 at most) and nobody else's, so they are read for each
 * answer instead of kept in an index: a playlist is found the moment it has a name. On the pool;
 * memory is the request's arena. */
#include "service/search/search_internal.h"

#include "base/error.h"
#include "base/id.h"
#include "base/json.h"
#include "net/http.h"
#include "service/library/library.h"
#include "service/search/words.h"

#include <string.h>

enum { TYPED_MIN = 3, TYPED_MAX = 32, TOO_MANY = INDEX_TYPOS_MAX + 1 };

/* Other scripts are found by their Latin form. */
static bool bears_typos(const char *asked)
{
    size_t length = 0;
    while (asked[length] != '\0' && (unsigned char)asked[length] < 0x80) {
        length++;
    }
    return asked[length] == '\0' && length >= TYPED_MIN && length <= TYPED_MAX;
}

/* Typos (a letter wrong, missing, too many, or two swapped: optimal string alignment) with which
 * asked begins text, its last letter right, or is all of it; TOO_MANY: more than max. */
static unsigned typos_between(const char *asked, const char *text, unsigned max)
{
    unsigned char rows[3][TYPED_MAX + 1]; /* of the text's letter, and of the two before */
    size_t length = strlen(asked), text_length = strlen(text);
    unsigned least = TOO_MANY;
    if (!bears_typos(asked)) {
        return TOO_MANY;
    }
    for (size_t j = 0; j <= length; j++) {
        rows[0][j] = (unsigned char)j;
    }
    for (size_t i = 1; i <= text_length && i <= length + max; i++) {
        unsigned char *now = rows[i % 3], *before = rows[(i - 1) % 3], *earlier = rows[(i + 1) % 3];
        unsigned near = (unsigned)i;
        now[0] = (unsigned char)i;
        for (size_t j = 1; j <= length; j++) {
            unsigned best = before[j - 1] + (unsigned)(asked[j - 1] != text[i - 1]);
            unsigned other = (before[j] < now[j - 1] ? before[j] : now[j - 1]) + 1U;
            best = other < best ? other : best;
            if (i > 1 && j > 1 && asked[j - 1] == text[i - 2] && asked[j - 2] == text[i - 1]) {
                best = earlier[j - 2] + 1U < best ? earlier[j - 2] + 1U : best;
            }
            now[j] = (unsigned char)best;
            near = best < near ? best : near;
        }
        if (near > max) {
            break; /* it only gets worse */
        }
        bool ends = i == text_length || text[i - 1] == asked[length - 1];
        least = ends && now[length] < least ? now[length] : least;
    }
    return least <= max ? least : TOO_MANY;
}

/* As the index forgives them: typos_max is 0 where the word is of another script, or a number. */
static unsigned typos_of(const struct words *words, const struct index_asked *asked)
{
    unsigned least = TOO_MANY;
    for (unsigned i = 0; i < asked->form_count; i++) {
        size_t length = strlen(asked->forms[i]);
        for (unsigned j = 0; j < words->count && least > 0; j++) {
            const char *text = words->list[j].text;
            unsigned max = least <= asked->typos_max ? least - 1 : asked->typos_max, typos = 0;
            if (strncmp(text, asked->forms[i], length) != 0 ||
                (asked->whole && text[length] != '\0')) {
                typos = max > 0 ? typos_between(asked->forms[i], text, max) : TOO_MANY;
            }
            least = typos < least ? typos : least;
        }
    }
    return least;
}

/* Each word begins one of the title's: with so many typos in all; TOO_MANY: it is another one. A
 * playlist has no artist, album, genre or year. */
static unsigned typos_in(const struct words *words, const struct index_query *query)
{
    unsigned sum = 0;
    if (query->genre != NULL || query->year_first != 0) {
        return TOO_MANY;
    }
    for (unsigned i = 0; i < query->asked_count; i++) {
        const struct index_asked *asked = &query->asked[i];
        bool of_name = asked->field < 0 || asked->field == INDEX_NAME;
        unsigned typos = of_name ? typos_of(words, asked) : TOO_MANY;
        if (asked->excluded ? typos == 0 : typos == TOO_MANY && !asked->filler) {
            return TOO_MANY;
        }
        sum += asked->excluded || typos == TOO_MANY ? 0 : typos;
    }
    return sum < INDEX_TYPOS_MAX ? sum : INDEX_TYPOS_MAX;
}

enum fit { FIT_EXACT, FIT_RIGHT, FIT_ONE_TYPO, FIT_TYPOS, FIT_NONE };
struct looking {
    struct arena *arena;
    const struct index_query *query;
    const struct library_playlists *list;
    unsigned char *fits; /* of each of list */
    json_t *items, *why;
};

static int judge(const struct looking *looking)
{
    for (unsigned i = 0; i < looking->list->count; i++) {
        struct words words;
        int error = words_of(looking->arena, looking->list->titles[i], WORDS_STORED, &words);
        const char *key = error == 0 ? words_key(looking->arena, &words) : NULL;
        if (key == NULL) {
            return error != 0 ? error : ERR_NO_MEMORY;
        }
        unsigned typos = typos_in(&words, looking->query);
        bool exact = typos == 0 && strcmp(key, looking->query->key) == 0;
        looking->fits[i] = (unsigned char)(exact ? FIT_EXACT : FIT_RIGHT + typos);
    }
    return 0;
}

static int add(const struct looking *looking, unsigned at)
{
    static const char *const tiers[] = {"exact", "prefix", "one-typo", "two-typos"};
    enum fit fit = looking->fits[at];
    json_t *playlist = library_playlist_json(looking->list, at);
    json_t *why = json_pack(
        "{s:O?, s:s, s:i, s:i, s:i}", "id", json_object_get(playlist, "id"), "match", tiers[fit],
        "typos", fit > FIT_RIGHT ? (int)(fit - FIT_RIGHT) : 0, "plays", 0, "ownPlays", 0);
    bool kept = json_array_append_new(looking->items, playlist) == 0;
    return json_array_append_new(looking->why, why) == 0 && kept ? 0 : ERR_NO_MEMORY;
}

/* The better first; two typos only where there is nothing better. */
static int take(const struct looking *looking, unsigned limit)
{
    int error = 0;
    for (unsigned fit = FIT_EXACT; fit < FIT_NONE; fit++) {
        if (fit == FIT_TYPOS && json_array_size(looking->items) > 0) {
            break;
        }
        for (unsigned i = 0; error == 0 && i < looking->list->count; i++) {
            if (looking->fits[i] == fit && json_array_size(looking->items) < limit) {
                error = add(looking, i);
            }
        }
    }
    return error;
}

int own_playlists_find(struct search *search, struct request *request,
                       const struct index_query *query, unsigned limit, json_t *items, json_t *why)
{
    struct library_playlists list;
    struct looking looking = {
        .arena = request->call.arena, .query = query, .list = &list, .items = items, .why = why};
    if (!query_asks(query)) {
        return 0;
    }
    int error = library_playlists(search->library, &request->call, &list);
    if (error != 0) {
        return error;
    }
    looking.fits = arena_alloc(looking.arena, list.count + 1);
    error = looking.fits != NULL ? judge(&looking) : ERR_NO_MEMORY;
    return error != 0 ? error : take(&looking, limit);
}
