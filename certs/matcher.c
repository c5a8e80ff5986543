/* The matchers of identity.h: how they are written, and what they match. */
#include "certs/identity.h"

#include <ctype.h>
#include <errno.h>
#include <mbedtls/base64.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A fixed locale's rules: isxdigit() and strcasecmp() are for ASCII here. */
static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool parse_hex(const char *text, uint8_t ret_digest[32])
{
    size_t digits = 0;
    for (; *text != '\0'; text++) {
        if (*text == ':' && digits % 2 == 0 && digits > 0 && digits < 64)
            continue;
        int value = hex_digit(*text);
        if (value < 0 || digits == 64)
            return false;
        int high = digits % 2 == 0 ? 0 : ret_digest[digits / 2] << 4;
        ret_digest[digits / 2] = (uint8_t)(high | value);
        digits++;
    }
    return digits == 64;
}

static bool parse_base64(const char *text, uint8_t ret_digest[32])
{
    size_t length = 0;
    /* Exactly 44 characters: mbedTLS would let line ends and missing padding pass. */
    return strlen(text) == 44 && strpbrk(text, " \r\n") == NULL &&
           mbedtls_base64_decode(ret_digest, 32, &length, (const unsigned char *)text, 44) == 0 &&
           length == 32;
}

static bool visible(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    }
    return true;
}

static const char *check_dns(const char *name)
{
    if (strchr(name, '*') != NULL)
        return "a wildcard matches nothing: list each name";
    size_t length = strlen(name);
    if (strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") != length)
        return "a DNS name has letters, digits, '-', '_' and dots";
    if (length > 253 || name[0] == '.' || name[length - 1] == '.' || strstr(name, "..") != NULL)
        return "want a DNS name such as lab.st-marys.example, without a dot at its ends";
    return NULL;
}

static const char *check_email(const char *address)
{
    const char *at = strrchr(address, '@');
    if (at == NULL || at == address || at[1] == '\0')
        return "want an address such as email:lab@st-marys.example";
    return NULL;
}

static const struct {
    const char *prefix;
    enum identity_kind kind;
} kinds[] = {
    {"dns:", IDENTITY_DNS}, {"email:", IDENTITY_EMAIL},   {"uri:", IDENTITY_URI},
    {"cn:", IDENTITY_CN},   {"sha256:", IDENTITY_SHA256}, {"spki:", IDENTITY_SPKI},
};

/* Fills the matcher's digest; answers what is wrong with the value, or NULL. */
static const char *check_value(struct identity_matcher *matcher, const char *value)
{
    if (value[0] == '\0')
        return "nothing behind the colon";
    if (!visible(value))
        return "control characters match nothing";
    switch (matcher->kind) {
    case IDENTITY_DNS:
        return check_dns(value);
    case IDENTITY_EMAIL:
        return check_email(value);
    case IDENTITY_SHA256:
        return parse_hex(value, matcher->digest)
                   ? NULL
                   : "want the SHA-256 of the certificate in 64 hexadecimal digits (openssl x509 "
                     "-in FILE -noout -fingerprint -sha256)";
    case IDENTITY_SPKI:
        return parse_base64(value, matcher->digest)
                   ? NULL
                   : "want the SHA-256 of the public key in 44 characters of base64 "
                     "(certs/README.md says how to get it)";
    case IDENTITY_URI:
    case IDENTITY_CN:
        break;
    }
    return NULL;
}

int identity_matcher_parse(const char *text, struct identity_matcher *ret_matcher,
                           char ret_error[256])
{
    struct identity_matcher matcher = {0};
    const char *value = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0] && value == NULL; i++) {
        if (strncmp(text, kinds[i].prefix, strlen(kinds[i].prefix)) != 0)
            continue;
        matcher.kind = kinds[i].kind;
        value = text + strlen(kinds[i].prefix);
    }
    const char *problem = value == NULL ? "want dns:NAME, email:ADDRESS, uri:URI, cn:NAME, "
                                          "sha256:HEX or spki:BASE64"
                                        : check_value(&matcher, value);
    if (problem != NULL) {
        snprintf(ret_error, 256, "\"%.80s\": %s", text, problem);
        return -EINVAL;
    }
    if (matcher.kind != IDENTITY_SHA256 && matcher.kind != IDENTITY_SPKI) {
        matcher.name = strdup(value);
        if (matcher.name == NULL) {
            snprintf(ret_error, 256, "memory is out");
            return -ENOMEM;
        }
    }
    *ret_matcher = matcher;
    return 0;
}

void identity_matcher_free(struct identity_matcher *matcher)
{
    free(matcher->name);
    *matcher = (struct identity_matcher){0};
}

/* --- matching ----------------------------------------------------------------------------- */

static bool same_dns(const char *a, const char *b)
{
    return strchr(a, '*') == NULL && strcasecmp(a, b) == 0;
}

/* RFC 5280 7.5: the part before the @ is the host's own affair, so bytewise. */
static bool same_email(const char *a, const char *b)
{
    const char *at_a = strrchr(a, '@'), *at_b = strrchr(b, '@');
    return at_a != NULL && at_b != NULL && at_a - a == at_b - b &&
           memcmp(a, b, (size_t)(at_a - a)) == 0 && strcasecmp(at_a, at_b) == 0;
}

static bool same_bytes(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static bool any(char *const *list, size_t count, const char *name,
                bool (*same)(const char *, const char *))
{
    for (size_t i = 0; i < count; i++) {
        if (same(list[i], name))
            return true;
    }
    return false;
}

static bool matches_common_name(const struct identity *identity, const char *name)
{
    return !identity->has_alternative_names && identity->dns_count == 0 &&
           identity->email_count == 0 && identity->uri_count == 0 &&
           identity->common_name != NULL && strcmp(identity->common_name, name) == 0;
}

bool identity_matches(const struct identity *identity, const struct identity_matcher *matcher)
{
    switch (matcher->kind) {
    case IDENTITY_DNS:
        return any(identity->dns, identity->dns_count, matcher->name, same_dns);
    case IDENTITY_EMAIL:
        return any(identity->email, identity->email_count, matcher->name, same_email);
    case IDENTITY_URI:
        return any(identity->uri, identity->uri_count, matcher->name, same_bytes);
    case IDENTITY_CN:
        return matches_common_name(identity, matcher->name);
    case IDENTITY_SHA256:
        return memcmp(identity->sha256, matcher->digest, 32) == 0;
    case IDENTITY_SPKI:
        return memcmp(identity->spki_sha256, matcher->digest, 32) == 0;
    }
    return false;
}
