/* The small languages inside texts: certificate matchers, facilities, headers, pins. */
#include "config/address.h"
#include "config/internal.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define DIGEST_BYTES 32UL

__attribute__((format(printf, 2, 3))) static const char *wrong(char *ret_error, const char *format,
                                                               ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(ret_error, SYNTAX_BYTES, format, arguments);
    va_end(arguments);
    return ret_error;
}

/* The value behind "kind:", or NULL. */
static const char *after(const char *text, const char *kind)
{
    size_t length = strlen(kind);
    return strncmp(text, kind, length) == 0 && text[length] == ':' ? text + length + 1 : NULL;
}

static const char *check_sha256(const char *value, char *ret_error)
{
    size_t digits = 0;
    for (const char *c = value; *c; c++) {
        if (*c != ':' && !isxdigit((unsigned char)*c)) {
            return wrong(ret_error, "sha256: wants hexadecimal digits (colons allowed)");
        }
        digits += *c != ':';
    }
    if (digits != 2 * DIGEST_BYTES) {
        return wrong(ret_error,
                     "sha256: wants 64 hexadecimal digits, here are %zu (a SHA-1 fingerprint has "
                     "40): openssl x509 -noout -fingerprint -sha256",
                     digits);
    }
    return NULL;
}

/* 32 bytes in base64: 43 characters and one '='. */
static bool is_digest_base64(const char *value, size_t length)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    return length == 44 && strspn(value, alphabet) == 43 && value[43] == '=' &&
           (size_t)(strchr(alphabet, value[42]) - alphabet) % 4 == 0;
}

static const char *check_dns(const char *value, char *ret_error)
{
    char error[ADDRESS_ERROR_BYTES];
    if (strchr(value, '*')) {
        return wrong(ret_error, "a wildcard names nobody: write each name out");
    }
    return address_check_name(value, error) ? wrong(ret_error, "\"%.80s\" is not a DNS name", value)
                                            : NULL;
}

static const char *check_email(const char *value, char *ret_error)
{
    const char *at = strrchr(value, '@');
    return at && at != value && at[1] && !strchr(value, ' ')
               ? NULL
               : wrong(ret_error, "email: wants name@domain");
}

static const char *check_uri(const char *value, char *ret_error)
{
    size_t scheme =
        strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
    return scheme > 0 && value[scheme] == ':' && value[scheme + 1] && !strchr(value, ' ')
               ? NULL
               : wrong(ret_error, "uri: wants a whole URI: uri:spiffe://example.org/lab");
}

const char *syntax_matcher(const char *text, char ret_error[SYNTAX_BYTES])
{
    const char *value;
    if ((value = after(text, "dns"))) {
        return check_dns(value, ret_error);
    }
    if ((value = after(text, "email"))) {
        return check_email(value, ret_error);
    }
    if ((value = after(text, "uri"))) {
        return check_uri(value, ret_error);
    }
    if ((value = after(text, "cn"))) {
        return value[0] ? NULL : wrong(ret_error, "cn: wants the common name behind it");
    }
    if ((value = after(text, "sha256"))) {
        return check_sha256(value, ret_error);
    }
    if ((value = after(text, "spki"))) {
        return is_digest_base64(value, strlen(value))
                   ? NULL
                   : wrong(ret_error, "spki: wants the SHA-256 of the public key in base64, 44 "
                                      "characters that end in '='");
    }
    return wrong(ret_error,
                 "\"%.80s\" does not say what to compare: write dns:, email:, uri:, cn:, sha256: "
                 "or spki: before it",
                 text);
}

static char next_hex(const char **at)
{
    while (**at == ':') {
        (*at)++;
    }
    char c = **at;
    *at += c != '\0';
    return (char)tolower((unsigned char)c);
}

static bool same_digest(const char *a, const char *b)
{
    char left, right;
    do {
        left = next_hex(&a);
        right = next_hex(&b);
    } while (left == right && left != '\0');
    return left == right;
}

bool syntax_same_matcher(const char *a, const char *b)
{
    if (after(a, "sha256") && after(b, "sha256")) {
        return same_digest(after(a, "sha256"), after(b, "sha256"));
    }
    if (after(a, "dns") && after(b, "dns")) {
        return strcasecmp(a, b) == 0;
    }
    const char *left = after(a, "email"), *right = after(b, "email");
    if (left && right && strrchr(left, '@') && strrchr(right, '@')) {
        const char *domain = strrchr(left, '@'), *other = strrchr(right, '@');
        return domain - left == other - right &&
               strncmp(left, right, (size_t)(domain - left)) == 0 && strcasecmp(domain, other) == 0;
    }
    return strcmp(a, b) == 0;
}

const char *syntax_facility(const char *text, char ret_error[SYNTAX_BYTES])
{
    const char *caret = strchr(text, '^');
    size_t length = strlen(text);
    if (caret && (caret == text || caret[1] == '\0' || strchr(caret + 1, '^'))) {
        return wrong(ret_error, "wants \"FACILITY\" (MSH-4.1) or \"APPLICATION^FACILITY\" (MSH-3.1 "
                                "and MSH-4.1)");
    }
    if (text[0] == ' ' || text[length - 1] == ' ') {
        return wrong(ret_error, "begins or ends with a blank: it is compared byte by byte");
    }
    return NULL;
}

static const char *const own_headers[] = {
    "Authorization",
    "Proxy-Authorization",
    "Host",
    "Content-Length",
    "Content-Type",
    "Transfer-Encoding",
    "Idempotency-Key",
    "Connection",
    "Expect",
    "TE",
    "Upgrade",
    "Date",
};

const char *syntax_header(const char *text, char ret_error[SYNTAX_BYTES])
{
    static const char token[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "!#$%&'*+-.^_`|~";
    size_t length = strspn(text, token);
    if (length == 0 || text[length] != ':') {
        return wrong(ret_error, "wants \"Name: value\"");
    }
    for (size_t i = 0; i < sizeof own_headers / sizeof own_headers[0]; i++) {
        if (strlen(own_headers[i]) == length && strncasecmp(own_headers[i], text, length) == 0) {
            return wrong(ret_error, "%s is written by the gateway itself%s", own_headers[i],
                         strcmp(own_headers[i], "Content-Type") == 0 ? ": set content_type" : "");
        }
    }
    return NULL;
}

const char *syntax_pin(const char *text, char ret_error[SYNTAX_BYTES])
{
    static const char kind[] = "sha256//";
    for (const char *pin = text;; pin++) {
        size_t length = strcspn(pin, ";");
        if (strncmp(pin, kind, strlen(kind)) != 0 ||
            !is_digest_base64(pin + strlen(kind), length - strlen(kind))) {
            return wrong(ret_error, "wants \"sha256//\" and the public key's SHA-256 in base64 (44 "
                                    "characters), several with ';' between");
        }
        pin += length;
        if (*pin == '\0') {
            return NULL;
        }
    }
}
