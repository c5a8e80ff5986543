/*
 * What text can tell of a PEM bundle: how many certificates, and whether two bundles share one.
 *
 * Parsing certificates is certs/'s work; here it is only about which roots a listener tells apart.
 */
#include "config/internal.h"

#include <stdlib.h>
#include <string.h>

#define PEM_BYTES (4UL * 1024 * 1024)
#define BEGIN_MARK "-----BEGIN CERTIFICATE-----"
#define END_MARK "-----END CERTIFICATE-----"

/* NULL when it can't be read; the file checks say why. */
static char *read_bundle(const char *file)
{
    char *text = NULL;
    size_t length;
    return slurp(file, PEM_BYTES, &text, &length) < 0 ? NULL : text;
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

size_t pem_count(const char *file)
{
    char *text = read_bundle(file);
    char *at = text;
    size_t count = 0;
    while (at && next_certificate(&at)) {
        count++;
    }
    free(text);
    return count;
}

/* Is the certificate in the bundle? Works on a copy: reading changes it. */
static bool bundle_has(const char *bundle, const char *certificate)
{
    char *copy = strdup(bundle);
    bool found = false;
    char *at = copy, *other;
    while (at && !found && (other = next_certificate(&at)) != NULL) {
        found = strcmp(other, certificate) == 0;
    }
    free(copy);
    return found;
}

bool pem_overlap(const char *a, const char *b)
{
    char *left = read_bundle(a), *right = read_bundle(b);
    bool found = false;
    char *at = left, *certificate;
    while (at && right && !found && (certificate = next_certificate(&at)) != NULL) {
        found = bundle_has(right, certificate);
    }
    free(left);
    free(right);
    return found;
}
