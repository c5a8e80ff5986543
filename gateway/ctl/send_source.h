/*
 * send_source: the messages that `mllpctl send` sends, read from files or made up.
 *
 * A file holds MLLP frames (its first byte is VT), a batch (it begins with FHS or BHS: one frame), or
 * one or more messages that begin with MSH at the start of a line. A hand-written file, whose lines
 * all end in LF or CRLF, gets CR line ends; a file that has a CR of its own is taken as it is.
 * Anything that doesn't begin with a header is one frame too: a receiver's way with bad input is
 * worth a test.
 * Ownership: the source owns its messages.
 */
#ifndef MLLPGW_CTL_SEND_SOURCE_H
#define MLLPGW_CTL_SEND_SOURCE_H

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

#define SEND_SOURCE_MAXIMUM (INT64_C(1) << 30) /* bytes of all messages together */

struct send_message {
    char *data;
    size_t length;
    bool has_id;              /* id is a place to write to, maybe an empty one */
    size_t id_at, id_length;  /* what MSA-2 will say: the first MSH-10, or else BHS-11 or FHS-11 */
    bool accept, application; /* the acknowledgments that a good message gets; neither: none */
};

struct send_source {
    struct send_message *messages;
    size_t count, capacity;
    int64_t bytes;
    unsigned converted; /* files whose line ends were changed to CR */
};

void send_source_init(struct send_source *source);
void send_source_free(struct send_source *source);

/* path: a file, a directory (its files in order of name, not hidden ones, all levels), or "-".
 * as_is: the whole file is one frame, byte for byte, unless it is a stream of MLLP frames.
 * 0, or a negative errno with a sentence. */
__attribute__((warn_unused_result)) int
send_source_add_path(struct send_source *source, const char *path, bool as_is, char ret_error[512]);
/* Splits content as a file's; content may be changed. */
__attribute__((warn_unused_result)) int
send_source_add_content(struct send_source *source, char *content, size_t length, bool as_is);
/* A made-up ORU^R01 of just size bytes (as many as the smallest one needs, where size is less). */
__attribute__((warn_unused_result)) int
send_source_add_synthetic(struct send_source *source, size_t size, const char *facility);

/* The MSH-10 that an answer has to name. */
static inline struct span send_message_id(const struct send_message *message)
{
    return span_of(message->has_id ? message->data + message->id_at : "",
                   message->has_id ? message->id_length : 0);
}

#endif
