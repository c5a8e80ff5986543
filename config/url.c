/* The URLs that a store needs: https://host[:port]/path, nothing that hides a secret. */
#include "config/address.h"
#include "config/internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The text itself isn't quoted: a password may stand in it. */
static const char *wrong(char *ret_error, const char *why)
{
    (void)snprintf(ret_error, SYNTAX_BYTES, "%s", why);
    return ret_error;
}

static bool is_loopback(const char *host)
{
    static const struct address_network v4 = {.bytes = {127}, .bits = 8};
    static const struct address_network v6 = {.bytes = {[15] = 1}, .v6 = true, .bits = 128};
    char error[ADDRESS_ERROR_BYTES];
    struct address_network network;
    if (strcasecmp(host, "localhost") == 0) {
        return true;
    }
    return !address_parse_network(host, &network, error) &&
           (address_holds(&v4, &network) || address_holds(&v6, &network));
}

static const char *parse_port(const char *text, size_t length, struct url *url, char *ret_error)
{
    if (length == 0) {
        return NULL;
    }
    unsigned long port = strtoul(text + 1, NULL, 10);
    if (text[0] != ':' || length < 2 || length > 6 ||
        strspn(text + 1, "0123456789") != length - 1 || port < 1 || port > UINT16_MAX) {
        return wrong(ret_error, "the port of the URL is not a number from 1 to 65535");
    }
    url->port = (unsigned)port;
    return NULL;
}

static const char *parse_authority(const char *text, size_t length, struct url *url,
                                   char *ret_error)
{
    char error[ADDRESS_ERROR_BYTES];
    struct address_network network;
    if (memchr(text, '@', length)) {
        return wrong(ret_error, "the URL has a user in it: credentials belong in the settings and "
                                "files for them");
    }
    const char *bracket = text[0] == '[' ? memchr(text, ']', length) : NULL;
    const char *colon = memchr(text, ':', length);
    size_t host = bracket ? (size_t)(bracket - text) + 1 : colon ? (size_t)(colon - text) : length;
    const char *from = bracket ? text + 1 : text;
    size_t count = bracket ? host - 2 : host;
    if (count < 1 || count >= sizeof url->host) {
        return wrong(ret_error, "the URL has no host, or one that is too long");
    }
    memcpy(url->host, from, count);
    url->host[count] = '\0';
    bool named = !bracket && address_is_name(url->host);
    if (named ? address_check_name(url->host, error) != NULL
              : strchr(url->host, '/') || address_parse_network(url->host, &network, error)) {
        return wrong(ret_error, "the URL's host is neither a name nor an address");
    }
    url->loopback = is_loopback(url->host);
    char port[8] = "";
    size_t rest = length - host;
    if (rest < sizeof port) {
        memcpy(port, text + host, rest);
    }
    return parse_port(port, rest, url, ret_error);
}

const char *url_parse(const char *text, struct url *ret_url, char ret_error[SYNTAX_BYTES])
{
    bool https = strncasecmp(text, "https://", 8) == 0;
    if (!https && strncasecmp(text, "http://", 7) != 0) {
        return wrong(ret_error, "is not a URL: write https://host[:port]/path");
    }
    for (const char *c = text; *c; c++) {
        if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f || strchr("\"<>\\^`{|}", *c)) {
            return wrong(ret_error,
                         "the URL has a blank or another byte in it that must be written "
                         "as %XX");
        }
    }
    if (strchr(text, '#')) {
        return wrong(ret_error, "the URL has a '#': that part is never sent");
    }
    const char *authority = text + (https ? 8 : 7);
    size_t length = strcspn(authority, "/?");
    *ret_url = (struct url){.https = https, .port = https ? 443 : 80, .path = authority + length};
    return parse_authority(authority, length, ret_url, ret_error);
}
