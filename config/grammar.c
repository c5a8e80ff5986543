#include "config/grammar.h"

#include <string.h>

#define SHOWN 24

static char container(const struct grammar *grammar)
{
    return grammar->depth > 0 ? grammar->open[grammar->depth - 1].sign : '{';
}

static char closing(char opening)
{
    return opening == '{' ? '}' : opening == '(' ? ')' : ']';
}

static const char *expected(const struct grammar *grammar)
{
    char inside = container(grammar);
    switch (grammar->state) {
    case GRAMMAR_WANT_NAME:
        return grammar->depth > 0 ? "a setting's name or '}'" : "a section's name";
    case GRAMMAR_WANT_EQUALS:
        return "'=' behind the name";
    case GRAMMAR_WANT_VALUE:
    case GRAMMAR_WANT_FIRST:
        return inside == '[' ? "a text, number or truth" : "a value";
    case GRAMMAR_AFTER_STRING:
    case GRAMMAR_AFTER_VALUE:
        break;
    }
    return inside == '{' ? "';'" : inside == '(' ? "',' or ')'" : "',' or ']'";
}

static bool is_sign(enum grammar_token token, const char *text, const char *among)
{
    return token == GRAMMAR_SIGN && strchr(among, text[0]) != NULL;
}

/* A text is not shown: it may be a secret. */
static const char *unexpected(const struct grammar *grammar, enum grammar_token token,
                              const char *text, size_t length, char *ret_error)
{
    char shown[SHOWN + 3] = "a text";
    if (token != GRAMMAR_STRING) {
        (void)snprintf(shown, sizeof shown, "'%.*s'", length < SHOWN ? (int)length : SHOWN, text);
    }
    const char *hint = "";
    if (token == GRAMMAR_NAME &&
        (grammar->state == GRAMMAR_WANT_VALUE || grammar->state == GRAMMAR_WANT_FIRST)) {
        hint = " (texts want quotes; a truth is true or false)";
    } else if (grammar->state == GRAMMAR_WANT_VALUE && container(grammar) != '{' &&
               is_sign(token, text, ")]")) {
        hint = " (there is no ',' behind the last one)";
    } else if (token == GRAMMAR_SIGN && text[0] == '@') {
        hint = " (@include begins its line)";
    }
    (void)snprintf(ret_error, GRAMMAR_ERROR_BYTES,
                   "syntax error: %s is expected here or on the line before, not %s%s",
                   expected(grammar), shown, hint);
    return ret_error;
}

static bool open_bracket(struct grammar *grammar, char sign, struct place place)
{
    if (grammar->depth == GRAMMAR_DEPTH || container(grammar) == '[') {
        return false;
    }
    grammar->open[grammar->depth].sign = sign;
    grammar->open[grammar->depth].place = place;
    grammar->depth++;
    grammar->state = sign == '{' ? GRAMMAR_WANT_NAME : GRAMMAR_WANT_FIRST;
    return true;
}

static bool close_bracket(struct grammar *grammar, enum grammar_token token, char sign)
{
    if (token != GRAMMAR_SIGN || grammar->depth == 0 || sign != closing(container(grammar))) {
        return false;
    }
    grammar->depth--;
    grammar->state = GRAMMAR_AFTER_VALUE;
    return true;
}

static bool take_value(struct grammar *grammar, enum grammar_token token, char sign,
                       struct place place)
{
    switch (token) {
    case GRAMMAR_STRING:
        grammar->state = GRAMMAR_AFTER_STRING;
        return true;
    case GRAMMAR_NUMBER:
    case GRAMMAR_BOOL:
        grammar->state = GRAMMAR_AFTER_VALUE;
        return true;
    case GRAMMAR_NAME:
        return false;
    case GRAMMAR_SIGN:
        break;
    }
    return strchr("{([", sign)
               ? open_bracket(grammar, sign, place)
               : grammar->state == GRAMMAR_WANT_FIRST && close_bracket(grammar, token, sign);
}

static bool take_after(struct grammar *grammar, enum grammar_token token, const char *text)
{
    bool group = container(grammar) == '{';
    if (token == GRAMMAR_STRING && grammar->state == GRAMMAR_AFTER_STRING) {
        return true; /* "a" "b" is one text */
    }
    if (group && token == GRAMMAR_NAME) {
        grammar->state = GRAMMAR_WANT_EQUALS; /* libconfig needs no ';' */
        return true;
    }
    if (is_sign(token, text, group ? ";," : ",")) {
        grammar->state = group ? GRAMMAR_WANT_NAME : GRAMMAR_WANT_VALUE;
        return true;
    }
    return close_bracket(grammar, token, text[0]);
}

static bool take(struct grammar *grammar, enum grammar_token token, const char *text,
                 struct place place)
{
    switch (grammar->state) {
    case GRAMMAR_WANT_NAME:
        if (token == GRAMMAR_NAME) {
            grammar->state = GRAMMAR_WANT_EQUALS;
            return true;
        }
        return close_bracket(grammar, token, text[0]);
    case GRAMMAR_WANT_EQUALS:
        grammar->state = is_sign(token, text, "=:") ? GRAMMAR_WANT_VALUE : grammar->state;
        return grammar->state == GRAMMAR_WANT_VALUE;
    case GRAMMAR_WANT_VALUE:
    case GRAMMAR_WANT_FIRST:
        return take_value(grammar, token, text[0], place);
    case GRAMMAR_AFTER_STRING:
    case GRAMMAR_AFTER_VALUE:
        return take_after(grammar, token, text);
    }
    return false;
}

const char *grammar_take(struct grammar *grammar, enum grammar_token token, const char *text,
                         size_t length, struct place place, char ret_error[GRAMMAR_ERROR_BYTES])
{
    if (take(grammar, token, text, place)) {
        return NULL;
    }
    if (grammar->depth == GRAMMAR_DEPTH) {
        (void)snprintf(ret_error, GRAMMAR_ERROR_BYTES, "brackets are nested too deep here");
        return ret_error;
    }
    return unexpected(grammar, token, text, length, ret_error);
}

const char *grammar_end(const struct grammar *grammar, struct place *ret_place,
                        char ret_error[GRAMMAR_ERROR_BYTES])
{
    if (grammar->depth > 0) {
        *ret_place = grammar->open[grammar->depth - 1].place;
        (void)snprintf(ret_error, GRAMMAR_ERROR_BYTES,
                       "syntax error: the '%c' here is never closed: '%c' is missing",
                       container(grammar), closing(container(grammar)));
        return ret_error;
    }
    if (grammar->state == GRAMMAR_WANT_EQUALS || grammar->state == GRAMMAR_WANT_VALUE) {
        (void)snprintf(ret_error, GRAMMAR_ERROR_BYTES,
                       "syntax error: %s is expected, but here the file ends", expected(grammar));
        return ret_error;
    }
    return NULL;
}
