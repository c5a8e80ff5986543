/*
 * utf8: one look over a message's bytes: ASCII, UTF-8, line feeds, escapes that switch sets.
 *
 * Goes over what is plain ASCII sixteen bytes at a time, since that is nearly all of nearly every
 * message; allocates nothing, copies nothing.
 * Sources: RFC 3629 (UTF-8), ISO/IEC 2022 (escape sequences). Pure. Threads: any.
 */
#ifndef MLLPGW_HL7_UTF8_H
#define MLLPGW_HL7_UTF8_H

#include "base/span.h"

/* Where each is first found, in bytes from the start; the text's length where it is not. */
struct utf8_look {
    size_t high;   /* a byte over 0x7F */
    size_t broken; /* a byte that is no part of valid UTF-8 (overlong, surrogates, cut off ...) */
    size_t line_feed;
    size_t escape; /* an escape after which bytes below 0x80 are another set's characters */
};

void utf8_look_at(struct span text, struct utf8_look *ret_look);

/* How many bytes from at on are below 0x80. */
size_t utf8_ascii_run(const char *at, const char *end);

#endif
