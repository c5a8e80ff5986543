/*
 * token: bearer tokens: OAuth2 client credentials (RFC 6749 4.4), refreshed early, once, without a
 * stall: the old token stays in use while it is valid.
 *
 * Threads: the delivery thread. Tokens and secrets are never logged.
 */
#ifndef MLLPGW_HTTP_TOKEN_H
#define MLLPGW_HTTP_TOKEN_H

#include "http/client.h"

struct token_source;

struct token_settings {
    const char *token_url, *client_id, *client_secret, *scope, *audience; /* copied */
};

struct token_source *token_source_new(struct http_client *client, struct http_origin *origin,
                                      const struct token_settings *settings);
void token_source_free(struct token_source **source);

struct token_waiter {
    struct list_node node; /* private */
    /* token: valid during the call; NULL when none could be had: failure is in words, status is the
     * token endpoint's (0: none). */
    void (*on_token)(struct token_waiter *waiter, const char *token, int status, const char *words);
};
/* Calls back at once when a valid token is there, else later. */
void token_source_get(struct token_source *source, struct token_waiter *waiter);
void token_source_cancel(struct token_waiter *waiter);
/* The store said 401: forget this token (at most one refresh for a burst of 401s). */
void token_source_reject(struct token_source *source, const char *token);

#endif
