/*
 * mllp: MLLP framing, in and out.
 *
 * The decoder turns a byte stream, cut anywhere, into events. It is a pure codec: no I/O, no clock,
 * no log. Feed it bytes; it consumes up to the next event and says how many. It keeps the content
 * of the open frame in its own buffer (bounded by the limits) and allocates nothing while no frame
 * is open, so an idle connection costs only the struct.
 *
 *   content block  VT content FS CR            0x0B ... 0x1C 0x0D
 *   commit block   VT (ACK 0x06 | NAK 0x15) FS CR           (Release 2)
 *
 * Rules (semantics "Frames"):
 *  - VT inside an open frame with content: MLLP_ABANDONED for what was there, and a new frame is open.
 *    A VT directly behind VT (no content yet) restarts silently.
 *  - Strict: FS not followed by CR is a data byte. A run of FS directly before FS CR is framing.
 *  - Lenient: the first FS ends the frame at once, since a sender that never writes the CR waits for
 *    its answer. FS, one CR or one LF behind it are skipped silently as the rest of the trailer; any
 *    other byte is looked at anew (VT opens the next frame).
 *  - Bytes outside frames are skipped and counted (MLLP_JUNK carries how many in one go);
 *    CR, LF and NUL are counted apart from the others: they are padding that real senders send.
 *  - A frame whose content is empty or a single CR is MLLP_EMPTY.
 *  - Content over the limit: MLLP_TOO_LARGE once; the decoder then wants to be reset or freed.
 * Sources: MLLP Release 1 (HL7 implementation support guide, appendix C), MLLP Release 2
 * (ANSI/HL7 V3 TRMLLP R2-2006).
 */
#ifndef MLLPGW_HL7_MLLP_H
#define MLLPGW_HL7_MLLP_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stdint.h>

#define MLLP_VT 0x0B
#define MLLP_FS 0x1C
#define MLLP_CR 0x0D
#define MLLP_ACK 0x06
#define MLLP_NAK 0x15

enum mllp_event {
    MLLP_NEED_MORE,  /* everything was consumed and nothing happened */
    MLLP_OPENED,     /* a start block came: the frame's deadline starts now */
    MLLP_MESSAGE,    /* content is complete: mllp_decoder_take() it before feeding on */
    MLLP_ABANDONED,  /* a start block inside an open frame: content of the lost one can be looked at
                        with mllp_decoder_content() until the next feed; the new frame is open */
    MLLP_EMPTY,      /* a frame without content */
    MLLP_COMMIT_ACK, /* Release 2 commit block */
    MLLP_COMMIT_NAK,
    MLLP_JUNK, /* bytes outside frames were skipped: see junk_bytes, padding_bytes. One event for
                       each run, or each piece of a run when it is cut by feeds */
    MLLP_TOO_LARGE, /* mllp_decoder_content() is what came so far, just the limit */
};

struct mllp_limits {
    size_t maximum_content_bytes;
    bool lenient_end; /* FS without CR ends the frame */
};

/* Plain data, private fields: use the functions. */
struct mllp_decoder {
    struct mllp_limits limits;
    struct buffer content;
    int state;
    size_t pending_fs;      /* FS bytes seen that may be framing */
    uint64_t offset;        /* bytes consumed over the connection's life */
    uint64_t junk_bytes;    /* bytes outside frames, without padding, over the connection's life */
    uint64_t padding_bytes; /* CR, LF, NUL outside frames, likewise */
    bool lenient;           /* the open frame's limits.lenient_end */
    bool complete;          /* content is a whole frame's; dropped at the next feed */
    bool abandoned_pending; /* content is the abandoned frame's; dropped at the next feed */
};

void mllp_decoder_init(struct mllp_decoder *decoder, const struct mllp_limits *limits);
void mllp_decoder_free(struct mllp_decoder *decoder);
/* Drops the open frame and is outside of frames again; the counts go on. */
void mllp_decoder_reset(struct mllp_decoder *decoder);
/* New limits hold from the next frame on. */
void mllp_decoder_set_limits(struct mllp_decoder *decoder, const struct mllp_limits *limits);

/* Consumes from data up to and including the next event. *ret_used <= length bytes were consumed;
 * call again with the rest (an event may come for the very last byte, none is kept back).
 * -ENOMEM is the only error: the open frame is lost and the connection wants to be closed. */
__attribute__((warn_unused_result)) int mllp_decoder_feed(struct mllp_decoder *decoder,
                                                          const void *data, size_t length,
                                                          size_t *ret_used,
                                                          enum mllp_event *ret_event);

/* The stream has ended. A lenient frame was complete with its FS, a strict one without FS CR never
 * is: MLLP_NEED_MORE. (The answer is an event so that a later rule can complete a frame here.) */
enum mllp_event mllp_decoder_finish(struct mllp_decoder *decoder);

/* Content of the open, abandoned, too large or complete frame: valid until the next call. */
struct span mllp_decoder_content(const struct mllp_decoder *decoder);
/* Hands over the complete content (free() it); NULL when there is none. Shrunk to size. */
char *mllp_decoder_take(struct mllp_decoder *decoder, size_t *ret_length);
/* A start block has come and its end has not (after MLLP_TOO_LARGE too, until the reset). */
bool mllp_decoder_in_frame(const struct mllp_decoder *decoder);
/* Bytes of memory that the decoder holds now (for maximum_buffered_bytes). */
size_t mllp_decoder_memory(const struct mllp_decoder *decoder);

/* Appends VT content FS CR. */
__attribute__((warn_unused_result)) int mllp_encode(struct buffer *out, struct span content);
/* Appends a Release 2 commit block. */
__attribute__((warn_unused_result)) int mllp_encode_commit(struct buffer *out, bool positive);

#endif
