/*
 * Pre-shared keys: would the other side take them, and would they hold? Each is read, looked at and
 * wiped; no problem's text has a character of it.
 */
#include "config/internal.h"
#include "config/secret.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define PSK_MAXIMUM 1024
#define PSK_GOOD_BYTES 20 /* random ones; 128 bits need 22 letters and digits */
#define PSK_GOOD_KINDS 8  /* different characters in it */
#define AWS_MINIMUM 8
#define AWS_MAXIMUM 64
#define ASA_MAXIMUM 128 /* Azure's, too */

static size_t count_kinds(const char *psk)
{
    bool seen[256] = {false};
    size_t kinds = 0;
    for (const unsigned char *c = (const unsigned char *)psk; *c; c++) {
        kinds += seen[*c] ? 0 : 1;
        seen[*c] = true;
    }
    return kinds;
}

/* AWS makes or takes only such keys; another one can never be set there. */
static void check_aws(const struct subject *subject, const char *psk, size_t length)
{
    static const char all[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._";
    if (length < AWS_MINIMUM || length > AWS_MAXIMUM) {
        complain(subject, PROBLEM_ERROR, "psk_file", WHOLE,
                 "AWS takes keys of %d to %d characters; this one has %zu", AWS_MINIMUM,
                 AWS_MAXIMUM, length);
    } else if (strspn(psk, all) != length) {
        complain(subject, PROBLEM_ERROR, "psk_file", WHOLE,
                 "AWS takes letters, digits, '.' and '_' only; character %zu of this key is none",
                 strspn(psk, all) + 1);
    } else if (psk[0] == '0') {
        complain(subject, PROBLEM_ERROR, "psk_file", WHOLE,
                 "AWS takes no key that begins with 0: make another one");
    }
}

static void check_length(const struct subject *subject, const char *whose, size_t length)
{
    if (length > ASA_MAXIMUM) {
        complain(subject, PROBLEM_ERROR, "psk_file", WHOLE,
                 "%s takes keys of %d characters at most; this one has %zu", whose, ASA_MAXIMUM,
                 length);
    }
}

/* '?' asks such a command line for help, the others mark where words begin and end. */
static void check_typed(const struct subject *subject, const char *psk, size_t length)
{
    size_t plain = strcspn(psk, "?\"'\\ ");
    if (plain != length) {
        complain(subject, PROBLEM_WARNING, "psk_file", WHOLE,
                 "character %zu of the key cannot be typed on the other side's command line: one "
                 "of letters and digits is safe everywhere",
                 plain + 1);
    }
}

/* We use the key as it is, swanctl.conf has its own way with some. */
static void check_swanctl(const struct subject *subject, const char *psk, size_t length)
{
    bool hexadecimal = strncasecmp(psk, "0x", 2) == 0;
    size_t plain = strcspn(psk, "\"\\");
    if (hexadecimal || strncasecmp(psk, "0s", 2) == 0) {
        complain(subject, PROBLEM_WARNING, "psk_file", WHOLE,
                 "the other side's swanctl.conf takes a key that begins like this for %s, and both "
                 "keys would differ: make another one",
                 hexadecimal ? "hexadecimal" : "base64");
    } else if (plain != length) {
        complain(subject, PROBLEM_WARNING, "psk_file", WHOLE,
                 "character %zu of the key has a meaning of its own in the other side's "
                 "swanctl.conf: make one of letters and digits",
                 plain + 1);
    }
}

static void check_vendor(const struct subject *subject, enum config_preset preset, const char *psk,
                         size_t length)
{
    switch (preset) {
    case CONFIG_PRESET_AWS:
        check_aws(subject, psk, length);
        break;
    case CONFIG_PRESET_AZURE:
        check_length(subject, "Azure", length);
        break;
    case CONFIG_PRESET_ASA:
        check_length(subject, "ASA", length);
        check_typed(subject, psk, length);
        break;
    case CONFIG_PRESET_FORTIGATE:
        check_typed(subject, psk, length);
        break;
    case CONFIG_PRESET_STRONGSWAN:
        check_swanctl(subject, psk, length);
        break;
    case CONFIG_PRESET_GOOGLE:
    case CONFIG_PRESET_PALOALTO:
        break;
    }
}

static void check_strength(const struct subject *subject, const char *psk, size_t length)
{
    if (length < PSK_GOOD_BYTES) {
        complain(subject, PROBLEM_WARNING, "psk_file", WHOLE,
                 "the key has %zu bytes; under %d it can be guessed by whoever records a "
                 "handshake: openssl rand -hex 32 makes a good one",
                 length, PSK_GOOD_BYTES);
    } else if (count_kinds(psk) < PSK_GOOD_KINDS) {
        complain(
            subject, PROBLEM_WARNING, "psk_file", WHOLE,
            "the key has only %zu different characters and is easily guessed: openssl rand -hex "
            "32 makes a good one",
            count_kinds(psk));
    }
    if (psk[0] == ' ' || psk[length - 1] == ' ') {
        complain(subject, PROBLEM_WARNING, "psk_file", WHOLE,
                 "the key begins or ends with a blank, which belongs to it: likely one too many");
    }
}

void check_psk(const struct subject *subject, const struct config_tunnel *tunnel)
{
    char error[SECRET_ERROR_BYTES], *psk = NULL;
    struct stat status;
    if (!tunnel->psk_file || stat(tunnel->psk_file, &status) < 0 || !S_ISREG(status.st_mode)) {
        return; /* told already */
    }
    int result = secret_read_line(tunnel->psk_file, PSK_MAXIMUM, &psk, error);
    if (result == -EINVAL || result == -EFBIG) {
        complain(subject, PROBLEM_ERROR, "psk_file", WHOLE, "%s", error);
    }
    if (result < 0) {
        return; /* of its mode, too */
    }
    size_t length = strlen(psk);
    check_vendor(subject, tunnel->preset, psk, length);
    check_strength(subject, psk, length);
    secret_free(&psk, length);
}
