/*
 * grant: what the kinds of grants share: form bodies, and the answers of token endpoints
 * (RFC 6749 5.1, 5.2).
 *
 * Nobody outside this folder includes it. Pure, but for memory.
 */
#ifndef MLLPGW_HTTP_GRANT_H
#define MLLPGW_HTTP_GRANT_H

#include "http/token.h"

#include <jansson.h>

/* application/x-www-form-urlencoded: RFC 6749 appendix B. */
__attribute__((warn_unused_result)) int grant_encode(struct buffer *out, const char *text);
/* "name=value", after an '&' unless it is the first. A value that is NULL or "" is left out. */
__attribute__((warn_unused_result)) int grant_add(struct buffer *form, const char *name,
                                                  const char *value);

/* As buffer_reserve(), and what moves leaves nothing behind in freed memory. */
__attribute__((warn_unused_result)) int grant_reserve(struct buffer *buffer, size_t more);
/* Wipes the content and frees. */
void grant_wipe(struct buffer *buffer);
void grant_forget(char **secret);

/* NULL when the body isn't a JSON object. json_decref() it: what it held is wiped
 * (http_global_init). */
json_t *grant_read(const struct http_result *result);
/* The error code of an answer when it is one of RFC 6749's and RFC 8693's own: anything else in
 * that place could be anything. NULL: none. */
const char *grant_error_word(const json_t *answer);

/* Whether text may stand in an Authorization header (RFC 6750 2.1 is narrower still). */
bool grant_is_sendable(const char *token);

/* Reads the answer of a token endpoint. The token is kept in *token, wiped when it is taken anew. */
enum token_progress grant_take(const struct http_result *result, const char *party, char **token,
                               struct token_answer *ret_answer);
/* "PARTY: HTTP 400 (DETAIL)"; detail NULL: without. Returns TOKEN_FAILED. */
enum token_progress grant_fail(const struct http_result *result, const char *party,
                               const char *detail, struct token_answer *ret_answer);

#endif
