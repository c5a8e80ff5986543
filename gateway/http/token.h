/*
 * token: bearer tokens, refreshed early, once, without a stall: the old token stays in use while it
 * is valid.
 *
 * How a token is had is a grant's affair: OAuth2 client credentials (http/client_credentials.h),
 * Google's kinds (http/google_token.h). A grant says what to send and reads what came, in one step
 * or in several; it waits for nothing. Requests, deadlines and cancelling are here: all steps
 * together have 20 s. After a failure the next second's callers get the same failure without
 * another request.
 * Ownership: the source owns its grant and outlives its waiters; origins outlive the source.
 * Threads: the delivery thread. Tokens and secrets are never logged.
 */
#ifndef MLLPGW_HTTP_TOKEN_H
#define MLLPGW_HTTP_TOKEN_H

#include "http/client.h"

#define TOKEN_WORDS_BYTES 256

/* ---- for those who need tokens ---- */

struct token_source;
struct token_grant;

/* Takes the grant, also when memory is out (then NULL). grant NULL: NULL. clock: NULL for the
 * client's loop's own time. */
struct token_source *token_source_new(struct http_client *client, struct token_grant *grant,
                                      const struct clock *clock);
void token_source_free(struct token_source **source);

struct token_waiter {
    struct list_node node;     /* private */
    enum http_failure failure; /* set before on_token() when there is no token: HTTP_OK with a
                                  status that isn't 200, or with an answer that can't be read;
                                  HTTP_CREDENTIALS: nothing could be asked for */
    int64_t retry_after_ms;    /* likewise; 0: none */
    /* token: valid during the call; NULL when none could be had: failure is in words (below
     * TOKEN_WORDS_BYTES, what matters in the first 95), status is the endpoint's (0: none). */
    void (*on_token)(struct token_waiter *waiter, const char *token, int status, const char *words);
};
/* Calls back at once when a valid token is there (or the hold-off after a failure is on), else
 * later. The waiter may be freed in its callback. */
void token_source_get(struct token_source *source, struct token_waiter *waiter);
/* Also for a waiter that was never given to token_source_get() but is list_init()ed. */
void token_source_cancel(struct token_waiter *waiter);
/* The store said 401: forget this token (at most one refresh for a burst of 401s). */
void token_source_reject(struct token_source *source, const char *token);
/* The grant's secret was replaced: the hold-off after a failure is over. */
void token_source_try_again(struct token_source *source);

/* ---- for those who make grants ---- */

/* One request of a grant. All of it is the grant's and stays until its next call. */
struct token_step {
    const char *party; /* "token endpoint": begins the words about a failed request */
    struct http_origin *origin;
    const char *method, *url;
    struct span body;
    const char *const *headers;                  /* as http_parameters has them */
    const char *basic_username, *basic_password; /* NULL: none */
    const char *answer_header;                   /* likewise */
};

struct token_answer {
    const char *token; /* stays until the grant's next call */
    int64_t lifetime_s;
    char words[TOKEN_WORDS_BYTES]; /* why there is none; no secret, nothing that a server chose */
};

enum token_progress {
    TOKEN_FAILED, /* words say why */
    TOKEN_MORE,   /* another step */
    TOKEN_DONE,   /* there is a token */
};

struct token_grant_operations {
    /* What to send; step 0 begins anew. Negative: it can't be asked for, ret_words say why
     * (-ENOMEM and -EAGAIN may cure themselves, all else is the operator's to cure). */
    int (*ask)(struct token_grant *grant, unsigned step, struct token_step *ret_step,
               char ret_words[TOKEN_WORDS_BYTES]);
    /* An answer has come (failure HTTP_OK, any status). */
    enum token_progress (*take)(struct token_grant *grant, unsigned step,
                                const struct http_result *result, struct token_answer *ret_answer);
    /* The credentials have changed since the last step 0: a new token is wanted now, the old one
     * stays in use until it has come. Called often: cheap. May be NULL. */
    bool (*changed)(struct token_grant *grant);
    /* The exchange is over, well or not: what was only for it is wiped. May be NULL. */
    void (*finish)(struct token_grant *grant);
    void (*destroy)(struct token_grant *grant);
};

/* Every grant begins with one. */
struct token_grant {
    const struct token_grant_operations *operations;
};

void token_grant_free(struct token_grant **grant);

#endif
