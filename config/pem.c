/*
 * What text can tell of a PEM bundle: how many certificates, and whether two bundles share one.
 *
 * Parsing certificates is certs/'s work; here it is only about which roots a listener tells apart.
 */
#include "config/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BEGIN_MARK "-----BEGIN CERTIFICATE-----"
#define END_MARK "-----END CERTIFICATE-----"

static int read_bundle(const char *file, char **ret_text)
{
    size_t length;
    return slurp(file, CONFIG_PEM_BYTES, ret_text, &length);
}

/* The next certificate's base64, blanks taken out in place; NULL at the end. */
static char *next_certificate(char **at)
{
    char *from = strstr(*at, BEGIN_MARK);
    char *end = from ? strstr(from, END_MARK) : NULL;
    if (!end) {
        return NULL;
    }
    *at = end + strlen(END_MARK);
    from += strlen(BEGIN_MARK);
    char *to = from;
    for (char *c = from; c < end; c++) {
        if ((unsigned char)*c > 0x20) {
            *to++ = *c;
        }
    }
    *to = '\0';
    return from;
}

int pem_count(const char *file, size_t *ret_count)
{
    char *text = NULL;
    int result = read_bundle(file, &text);
    char *at = text;
    size_t count = 0;
    if (result < 0) {
        return result;
    }
    while (next_certificate(&at)) {
        count++;
    }
    free(text);
    *ret_count = count;
    return 0;
}

/* Certificates of a bundle, sorted; they lie in its text. */
struct certificates {
    char *text;
    const char **items;
    size_t count;
};

static int compare_certificates(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static void certificates_free(struct certificates *all)
{
    free(all->items);
    free(all->text);
}

static int certificates_read(const char *file, struct certificates *ret_all)
{
    struct certificates all = {0};
    size_t most = 0;
    int result = pem_count(file, &most);
    if (result == 0) {
        result = read_bundle(file, &all.text);
    }
    if (result < 0) {
        return result;
    }
    all.items = calloc(most + 1, sizeof *all.items);
    char *at = all.text, *certificate;
    while (all.items && all.count < most && (certificate = next_certificate(&at)) != NULL) {
        all.items[all.count++] = certificate;
    }
    if (!all.items) {
        certificates_free(&all);
        return -ENOMEM;
    }
    qsort(all.items, all.count, sizeof *all.items, compare_certificates);
    *ret_all = all;
    return 0;
}

static bool share_one(const struct certificates *a, const struct certificates *b)
{
    for (size_t i = 0; b->count > 0 && i < a->count; i++) {
        if (bsearch(&a->items[i], b->items, b->count, sizeof *b->items, compare_certificates)) {
            return true;
        }
    }
    return false;
}

bool pem_overlap(const char *a, const char *b)
{
    struct certificates left = {0}, right = {0};
    int first = certificates_read(a, &left), second = certificates_read(b, &right);
    bool unknown = (first < 0 && first != -ENOENT) || (second < 0 && second != -ENOENT);
    bool found = unknown || share_one(&left, &right);
    certificates_free(&left);
    certificates_free(&right);
    return found;
}
