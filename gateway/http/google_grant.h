/*
 * google_grant: what the two halves of Google's grant share: what to send (google_ask.c) and what came
 * (google_token.c); nobody else includes it.
 */
#ifndef MLLPGW_HTTP_GOOGLE_GRANT_H
#define MLLPGW_HTTP_GOOGLE_GRANT_H

#include "base/clock.h"
#include "http/google_private.h"
#include "http/google_words.h"
#include "http/token.h"

struct google_grant {
    struct token_grant grant; /* first */
    struct google_credentials *credentials;
    const struct google_facts *facts; /* of the credentials */
    struct http_origin *origin, *direct;
    char *scope;
    const struct clock *clock; /* never NULL */
    void (*on_warning)(void *context, const char *sentence);
    void *context;
    /* of the exchange under way */
    struct buffer body, url, authorization; /* the last two NUL-terminated */
    const char *headers[4];
    char *subject; /* token */
    char *token;   /* the last that came */
};

/* google_ask.c: as token_grant_operations have it. */
int google_ask(struct token_grant *grant, unsigned step, struct token_step *ret_step,
               char ret_words[TOKEN_WORDS_BYTES]);
enum google_stage google_stage(const struct google_facts *facts, unsigned step);
int64_t google_now_s(const struct google_grant *google);
/* Wipes what belongs to an exchange. */
void google_forget(struct google_grant *google);

#endif
