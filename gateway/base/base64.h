/*
 * base64: RFC 4648 section 4, padded, one line.
 *
 * Decoding is strict: anything but the alphabet, padding that is missing or in excess, and bits that
 * no encoder leaves behind (section 3.5) are errors, so that bytes have one text only.
 * Pure. Threads: any.
 */
#ifndef MLLPGW_BASE_BASE64_H
#define MLLPGW_BASE_BASE64_H

#include "base/span.h"

/* Of the text of so many bytes; 0 when it is larger than any memory. */
size_t base64_length(size_t bytes);
/* to has room for base64_length(); there is no NUL behind it. */
void base64_encode(struct span bytes, char *to);

/* Room for the bytes of a text, at least. */
static inline size_t base64_room(size_t text)
{
    return text / 4 * 3;
}
/* to has base64_room() and may be the text's own place. 0 or -EINVAL. */
__attribute__((warn_unused_result)) int base64_decode(struct span text, char *to,
                                                      size_t *ret_length);

#endif
