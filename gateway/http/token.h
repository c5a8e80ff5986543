/*
 * token: bearer tokens: OAuth2 client credentials (RFC 6749 4.4), refreshed early, once, without a
 * stall: the old token stays in use while it is valid.
 *
 * The client's id and secret travel as Basic authentication (RFC 6749 2.3.1: every server takes
 * that for clients with a password). After a failure the next second's callers get the same
 * failure without another request.
 * Ownership: the source outlives its waiters; the origin outlives the source.
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

/* The secret was replaced: for the next request. Out of memory: the old one stays. */
void token_source_set_secret(struct token_source *source, const char *client_secret);

struct token_waiter {
    struct list_node node;     /* private */
    enum http_failure failure; /* set before on_token() when there is no token: HTTP_OK with a
                                  status that isn't 200, or with an answer that can't be read */
    int64_t retry_after_ms;    /* likewise; 0: none */
    /* token: valid during the call; NULL when none could be had: failure is in words, status is the
     * token endpoint's (0: none). */
    void (*on_token)(struct token_waiter *waiter, const char *token, int status, const char *words);
};
/* Calls back at once when a valid token is there (or the hold-off after a failure is on), else
 * later. The waiter may be freed in its callback. */
void token_source_get(struct token_source *source, struct token_waiter *waiter);
/* Also for a waiter that was never given to token_source_get() but is list_init()ed. */
void token_source_cancel(struct token_waiter *waiter);
/* The store said 401: forget this token (at most one refresh for a burst of 401s). */
void token_source_reject(struct token_source *source, const char *token);

#endif
