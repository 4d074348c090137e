/* Where an artist stands in the index: its letter, and its place under it.
 *
 * The key is "B beatles": the letter, a space, the folded name; bytes in order are artists in
 * order, since a letter is one character and those of a script stand together in Unicode. Its
 * rules:
 *   - A sort name that was given wins ("Beatles, The"). Otherwise a leading article is left out,
 *     where something follows it: the, a, an, der, die, das, el, la, los, las, le, les.
 *   - Case, width and diacritics do not count, in Latin, Greek, Cyrillic, kana, Hebrew and Arabic;
 *     ø is o, æ is ae, ß is ss, ł is l. Russian и and й stay two letters, as in its alphabet.
 *   - Punctuation before the first letter is passed over: "(hed) p.e." is under H.
 *   - Every script has letters of its own. Kana go by their row (あ か さ … わ), Hangul by the
 * first consonant, doubled ones with the plain. Han is one heading, 漢, by code point (radical and
 *     stroke): how it is read depends on a language that a name does not tell; a sort name does.
 *   - What begins with a digit or a sign, or has no letter at all, is under #.
 * Nothing of this needs ICU. Pure; any thread.
 */
#pragma once

struct arena;

/* At most INDEX_KEY_BYTES_MAX bytes. NULL: out of memory. */
enum { INDEX_KEY_BYTES_MAX = 512 };
const char *index_key(struct arena *arena, const char *name, const char *sort_name);
/* The letter of a key, "" of none. In out. */
enum { INDEX_LETTER_SIZE = 5 };
const char *index_letter(const char *key, char out[INDEX_LETTER_SIZE]);
