/*
 * client_credentials: the OAuth2 grant of that name (RFC 6749 4.4) for a token source.
 *
 * The client's id and secret travel as Basic authentication (RFC 6749 2.3.1: every server takes
 * that for clients with a password).
 * Ownership: the token source takes the grant; who keeps a pointer for client_credentials_set_secret()
 * must not use it after the source is freed. The origin outlives both.
 * Threads: the token source's.
 */
#ifndef MLLPGW_HTTP_CLIENT_CREDENTIALS_H
#define MLLPGW_HTTP_CLIENT_CREDENTIALS_H

#include "http/token.h"

struct client_credentials {
    const char *token_url, *client_id, *client_secret, *scope, *audience; /* copied */
};

/* NULL when memory is out. */
struct token_grant *client_credentials_grant_new(struct http_origin *origin,
                                                 const struct client_credentials *settings);
/* For the next request; token_source_try_again() ends a hold-off. Out of memory: the old one stays. */
void client_credentials_set_secret(struct token_grant *grant, const char *client_secret);

#endif
