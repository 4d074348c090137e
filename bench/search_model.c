/* The synthetic catalogue (search_model.h). */
#include "search_model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum script { LATIN, CYRILLIC, KANA, HAN, HANGUL, GREEK };
enum { SALT_WORD = 100, SALT_TITLE = 1000, SALT_ALBUM = 2000, SALT_ARTIST = 3000 };

/* SplitMix64 (Steele, Lea and Flood 2014). */
static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

uint64_t model_chance(const struct model *model, uint64_t number, uint64_t salt, uint64_t below)
{
    return mix(mix(model->seed + salt) ^ mix(number)) % below;
}

static double unit(const struct model *model, uint64_t number, uint64_t salt)
{
    return ((double)model_chance(model, number, salt, UINT64_C(1) << 53) + 1) / 0x1p53;
}

void model_init(struct model *model, uint64_t tracks, uint64_t seed)
{
    *model = (struct model){.seed = seed, .tracks = tracks};
    model->words = (uint64_t)(150 * sqrt((double)tracks));
    model->words = model->words < 2000 ? 2000 : model->words;
}

/* A word by its rank: the frequent are short. */
static void add_word(char *out, uint64_t rank, enum script script)
{
    static const char *const heads[] = {"b", "d",  "f",  "g",  "h",  "j",  "k", "l",
                                        "m", "n",  "p",  "r",  "s",  "t",  "v", "w",
                                        "z", "sh", "ch", "st", "tr", "br", "kl"};
    static const char *const tails[] = {"", "", "", "n", "r", "s", "l", "t", "m", "nd", "st"};
    static const char *const cyrillic[] = {"б", "д", "ф", "г",  "х",  "ж",  "к", "л",
                                           "м", "н", "п", "р",  "с",  "т",  "в", "ш",
                                           "з", "щ", "ч", "ст", "тр", "бр", "кл"};
    static const char *const greek[] = {"β", "δ",  "φ",  "γ",  "χ",  "ξ",  "κ", "λ",
                                        "μ", "ν",  "π",  "ρ",  "σ",  "τ",  "θ", "ψ",
                                        "ζ", "σχ", "τσ", "στ", "τρ", "βρ", "κλ"};
    static const char vowels[] = "aeiou";
    static const char *const cyrillic_vowels[] = {"а", "е", "и", "о", "у"};
    static const char *const greek_vowels[] = {"α", "ε", "ι", "ο", "υ"};
    uint64_t bits = mix(rank * 31 + SALT_WORD);
    unsigned syllables = rank < 60 ? 1 : rank < 3000 ? 2 : 2 + (unsigned)(bits >> 60) % 3;
    for (unsigned i = 0; i < syllables; i++) {
        unsigned head = (unsigned)(bits % 23), vowel = (unsigned)(bits / 23 % 5);
        unsigned tail = (unsigned)(bits / 115 % 11);
        bits = mix(bits);
        size_t at = strlen(out);
        switch (script) {
        case LATIN:
            (void)sprintf(out + at, "%s%c%s", heads[head], vowels[vowel], tails[tail]);
            break;
        case CYRILLIC:
            (void)sprintf(out + at, "%s%s", cyrillic[head], cyrillic_vowels[vowel]);
            break;
        case GREEK:
            (void)sprintf(out + at, "%s%s", greek[head], greek_vowels[vowel]);
            break;
        default: { /* characters of three bytes */
            unsigned first = script == KANA ? 0x304B : script == HAN ? 0x4E00 : 0xAC00;
            unsigned count = script == KANA ? 0x43 : script == HAN ? 4000 : 11172;
            unsigned point = first + (unsigned)(bits >> 20) % count;
            (void)sprintf(out + at, "%c%c%c", (int)(0xE0 | point >> 12),
                          (int)(0x80 | (point >> 6 & 63)), (int)(0x80 | (point & 63)));
        }
        }
    }
}

static enum script script_of(const struct model *model, uint64_t artist)
{
    static const enum script others[] = {CYRILLIC, CYRILLIC, KANA, HAN, HANGUL, GREEK};
    uint64_t chance = model_chance(model, artist, SALT_ARTIST, 48);
    return chance < 6 ? others[chance] : LATIN;
}

static uint64_t rank_of(const struct model *model, uint64_t number, uint64_t salt)
{
    return (uint64_t)pow((double)model->words, unit(model, number, salt)) - 1;
}

/* So many words that a name's salt says. */
static void add_words(const struct model *model, char *out, uint64_t number, uint64_t salt,
                      const unsigned char *lengths, unsigned length_count, enum script script)
{
    unsigned count = lengths[model_chance(model, number, salt, length_count)];
    bool spaced = script != KANA && script != HAN;
    for (unsigned i = 0; i < count; i++) {
        uint64_t rank = rank_of(model, number, salt + 1 + i);
        bool own = salt == SALT_ARTIST && model_chance(model, number, salt + 20 + i, 2) == 0;
        (void)strcat(out, i > 0 && spaced ? " " : "");
        add_word(out, own ? rank + model->words : rank, script);
    }
}

static void artist_name(const struct model *model, uint64_t artist, char *out)
{
    static const unsigned char lengths[] = {1, 1, 2, 2, 2, 3};
    out[0] = '\0';
    add_words(model, out, artist, SALT_ARTIST, lengths, sizeof lengths, script_of(model, artist));
}

static void title(const struct model *model, uint64_t number, uint64_t salt, uint64_t artist,
                  char *out)
{
    static const unsigned char lengths[] = {1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 4, 4, 5, 6};
    static const char *const ends[] = {" - Live", " (Remix)", " (Remastered 2011)", " (feat. "};
    out[0] = '\0';
    add_words(model, out, number, salt, lengths, sizeof lengths, script_of(model, artist));
    uint64_t end = model_chance(model, number, salt + 40, 32);
    if (end >= sizeof ends / sizeof ends[0]) {
        return;
    }
    (void)strcat(out, ends[end]);
    if (ends[end][2] == 'f') {
        uint64_t artists = model->tracks / (TRACKS_PER_ALBUM * ALBUMS_PER_ARTIST) + 1;
        char guest[MODEL_TEXT];
        artist_name(model, model_chance(model, number, salt + 41, artists), guest);
        (void)strcat(out, guest);
        (void)strcat(out, ")");
    }
}

static uint32_t plays_of(const struct model *model, uint64_t number, uint64_t salt)
{
    return (uint32_t)fmin(1 / unit(model, number, salt), 4e9);
}

void model_artist(const struct model *model, uint64_t number, struct model_thing *artist)
{
    artist_name(model, number, artist->title);
    artist->plays = plays_of(model, number, SALT_ARTIST + 50);
    artist->name = (struct catalog_name){.id = (int64_t)number + 1,
                                         .name = artist->title,
                                         .artist = "",
                                         .album = "",
                                         .genres = "[]",
                                         .release_date = "",
                                         .original_date = "",
                                         .lyrics = ""};
}

void model_album(const struct model *model, uint64_t number, struct model_thing *album)
{
    uint64_t artist = number / ALBUMS_PER_ARTIST;
    title(model, number, SALT_ALBUM, artist, album->title);
    artist_name(model, artist, album->artist);
    (void)snprintf(album->date, sizeof album->date, "%u",
                   1960 + (unsigned)model_chance(model, number, SALT_ALBUM + 51, 66));
    album->plays = plays_of(model, number, SALT_ALBUM + 50);
    album->name = (struct catalog_name){.id = (int64_t)number + 1,
                                        .name = album->title,
                                        .artist = album->artist,
                                        .album = "",
                                        .genres = "[]",
                                        .release_date = album->date,
                                        .original_date = "",
                                        .lyrics = ""};
}

void model_track(const struct model *model, uint64_t number, struct model_thing *track)
{
    struct model_thing album;
    model_album(model, number / TRACKS_PER_ALBUM, &album);
    (void)strcpy(track->artist, album.artist);
    (void)strcpy(track->album, album.title);
    (void)strcpy(track->date, album.date);
    title(model, number, SALT_TITLE, number / TRACKS_PER_ALBUM / ALBUMS_PER_ARTIST, track->title);
    track->plays = plays_of(model, number, SALT_TITLE + 50);
    track->name = (struct catalog_name){.id = (int64_t)number + 1,
                                        .name = track->title,
                                        .artist = track->artist,
                                        .album = track->album,
                                        .genres = "[]",
                                        .release_date = track->date,
                                        .original_date = "",
                                        .lyrics = ""};
}
