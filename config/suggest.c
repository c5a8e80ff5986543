/* The nearest known word to a mistyped one. */
#include "config/internal.h"

#include <ctype.h>
#include <string.h>

#define WORD_BYTES 64

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Levenshtein's distance, one row at a time; b is shorter than WORD_BYTES. */
static size_t distance(const char *a, const char *b)
{
    size_t row[WORD_BYTES + 1];
    size_t length = strlen(b);
    for (size_t j = 0; j <= length; j++) {
        row[j] = j;
    }
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= length; j++) {
            int left = tolower((unsigned char)a[i - 1]), right = tolower((unsigned char)b[j - 1]);
            size_t replaced = diagonal + (left != right);
            diagonal = row[j];
            row[j] = smallest(row[j] + 1, row[j - 1] + 1, replaced);
        }
    }
    return row[length];
}

/* "warn" means "warning". */
static bool begins(const char *whole, const char *word)
{
    size_t length = strlen(word);
    return length >= 3 && strncmp(whole, word, length) == 0;
}

const char *suggest(const char *word, const char *const *words, size_t count,
                    char ret_text[SUGGESTION_BYTES])
{
    const char *best = NULL;
    size_t length = strlen(word);
    size_t least = length < 3 ? 0 : length < 6 ? 2 : length / 3; /* "tsl" for "tls" is two steps */
    for (size_t i = 0; i < count && length < WORD_BYTES; i++) {
        if (!words[i] || strlen(words[i]) >= WORD_BYTES) {
            continue;
        }
        size_t steps = begins(words[i], word) ? 1 : distance(word, words[i]);
        if (steps < least || (steps == least && !best)) {
            best = words[i];
            least = steps;
        }
    }
    ret_text[0] = '\0';
    if (best) {
        (void)snprintf(ret_text, SUGGESTION_BYTES, "; did you mean \"%s\"?", best);
    }
    return ret_text;
}
