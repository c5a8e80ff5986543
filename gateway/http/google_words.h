/*
 * google_words: what a refused token means and what to do about it. Google's own text is only
 * looked at, never passed on. Pure.
 */
#ifndef MLLPGW_HTTP_GOOGLE_WORDS_H
#define MLLPGW_HTTP_GOOGLE_WORDS_H

#include "http/google_private.h"
#include "http/token.h"

/* The requests that a token may take. */
enum google_stage {
    GOOGLE_STAGE_TOKEN,       /* token_uri, by an assertion or a refresh token */
    GOOGLE_STAGE_SUBJECT,     /* GET of a subject token */
    GOOGLE_STAGE_EXCHANGE,    /* token_url (STS) */
    GOOGLE_STAGE_IMPERSONATE, /* generateAccessToken */
    GOOGLE_STAGE_METADATA,
};

const char *google_party(enum google_stage stage);
/* answer may be NULL. Returns TOKEN_FAILED. */
enum token_progress google_fail(enum google_stage stage, const struct google_facts *facts,
                                const json_t *answer, const struct http_result *result,
                                struct token_answer *ret_answer);

#endif
