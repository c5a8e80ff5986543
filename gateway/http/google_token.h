/*
 * google_token: a token source for Google's services, by credentials of any kind.
 *
 *   service_account    a JWT signed with RS256 is exchanged at token_uri (RFC 7523)
 *   authorized_user    a refresh token is (RFC 6749 6)
 *   external_account   a subject token is exchanged at token_url (RFC 8693), and then, if
 *                      service_account_impersonation_url is there, for the service account's
 *   metadata server    GET; an answer without Metadata-Flavor: Google is somebody else's
 *
 * The credentials' file is looked at again as tokens are asked for; a replaced one is used at once,
 * while the old token goes on until the new one is there.
 * Ownership: credentials and origins outlive the source.
 * Threads: the delivery thread.
 */
#ifndef MLLPGW_HTTP_GOOGLE_TOKEN_H
#define MLLPGW_HTTP_GOOGLE_TOKEN_H

#include "http/google_credentials.h"
#include "http/token.h"

struct google_token_settings {
    const char *scope;          /* copied; an authorized_user's is what the user agreed to */
    struct http_origin *origin; /* for https: CA, proxy */
    struct http_origin *direct; /* for the metadata server and other plain http: no proxy */
    const struct clock *clock;  /* NULL: the client's loop's; its wall time goes into JWTs */
    /* A replaced file can't be used, the old one stays: once for each change. May be NULL. */
    void (*on_warning)(void *context, const char *sentence);
    void *context;
};

/* NULL when memory is out. */
struct token_source *google_token_source_new(struct http_client *client,
                                             struct google_credentials *credentials,
                                             const struct google_token_settings *settings);

#endif
