/*
 * grammar: libconfig's syntax, token by token, for errors that say what is missing and where.
 *
 * libconfig itself says "syntax error", and 1.5 forgets to free a text that stands where none may.
 * Pure; no memory but the struct.
 */
#ifndef MLLPGW_CONFIG_GRAMMAR_H
#define MLLPGW_CONFIG_GRAMMAR_H

#include "config/problems.h"

#define GRAMMAR_DEPTH 32 /* more than any setting needs */
#define GRAMMAR_ERROR_BYTES 256

enum grammar_token {
    GRAMMAR_NAME,
    GRAMMAR_BOOL,
    GRAMMAR_NUMBER,
    GRAMMAR_STRING,
    GRAMMAR_SIGN /* one of = : ; , { } ( ) [ ], or anything else */
};

enum grammar_state {
    GRAMMAR_WANT_NAME,   /* in a group: a setting, or the group's end */
    GRAMMAR_WANT_EQUALS, /* behind a setting's name */
    GRAMMAR_WANT_VALUE,  /* behind '=' or ',' */
    GRAMMAR_WANT_FIRST,  /* behind '(' or '[': a value, or the end */
    GRAMMAR_AFTER_STRING,
    GRAMMAR_AFTER_VALUE
};

struct grammar {
    enum grammar_state state;
    size_t depth;
    struct {
        char sign;
        struct place place;
    } open[GRAMMAR_DEPTH];
};

/* Begin with zeros. NULL: well; else what is wrong, into ret_error. text: the token's first byte. */
const char *grammar_take(struct grammar *grammar, enum grammar_token token, const char *text,
                         size_t length, struct place place, char ret_error[GRAMMAR_ERROR_BYTES]);
/* At the end of everything; *ret_place is then the bracket that was never closed, if any. */
const char *grammar_end(const struct grammar *grammar, struct place *ret_place,
                        char ret_error[GRAMMAR_ERROR_BYTES]);

#endif
