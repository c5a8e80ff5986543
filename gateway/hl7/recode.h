/*
 * recode: a message for a store that takes only UTF-8, and CR as the end of a segment.
 *
 * recode_plan() says whether a message can go there and as how many bytes; recode_write() writes it.
 * Both are functions of the bytes and the rules alone: what was planned at the listener is what is
 * written at the store, hours and a restart later. Most messages are right as they are: for those a
 * plan is one look over the bytes, and nothing is copied.
 *
 * Which set the bytes are in:
 *   MSH-18 names a set            that one; `peer` only where it is a larger one with the same bytes
 *                                 (windows-1252 explains an 8859/1 that holds 0x80 to 0x9F)
 *   MSH-18 is empty or ASCII      `peer`; without one UTF-8, if they are that
 *   MSH-18 names an unknown set,  `peer`; without one only bytes that are ASCII
 *   or several (but Japan's)
 *   but where `peer` is a set of  UTF-8, if they are that: no text in such a set has UTF-8's pattern all
 *   single bytes                  through, and a sender that has changed to UTF-8 is seen by it
 * Every byte must be one of the set's characters: nothing is replaced or left out. Controls from
 * U+0080 to U+009F count as none (table 0211 means printable characters; they are the sign of another set).
 * What changes: the characters' bytes; MSH-18, which becomes "UNICODE UTF-8" where bytes were converted
 * or it named another set; with `normalise`, line ends with an LF in them, which become one CR; and a byte
 * order mark or white space in front of MSH goes. An LF inside of a field (text, no segment behind it) is
 * the sender's and stays (but between ISO 2022's escapes, where what will stand beside it is not known yet).
 * Conversions are iconv's (glibc), by the names in charset.h alone.
 * Threads: any. Memory: none; iconv loads its tables when a set is first used.
 */
#ifndef MLLPGW_HL7_RECODE_H
#define MLLPGW_HL7_RECODE_H

#include "base/buffer.h"
#include "hl7/charset.h"

enum recode_problem {
    RECODE_OK,
    RECODE_SET_UNKNOWN,     /* bytes that are not UTF-8, and nothing says which set they are in */
    RECODE_SET_UNSUPPORTED, /* MSH-18 says it, but nobody here can convert from that */
    RECODE_NOT_IN_SET,      /* bytes that the set does not have */
    RECODE_SEGMENT_ENDS,    /* segments end with LF, and the rules don't say that it becomes CR */
    RECODE_HEADER,        /* it would be read otherwise: characters of MSH hold its separator, or a
                               delimiter is none of ASCII's */
    RECODE_NOT_HERE,      /* this system's iconv lacks the set */
    RECODE_OUT_OF_MEMORY, /* or of file descriptors: another try may do */
};

struct recode_rules {
    enum charset peer; /* what the peer sends where MSH-18 does not say; CHARSET_NONE: not known */
    bool normalise;
};

struct recode {
    enum charset set; /* the sender's; CHARSET_NONE: ASCII or UTF-8, and nothing said so */
    bool as_it_is;    /* the message's last `length` bytes are what is written: no need to copy */
    size_t length;    /* of what is written */
    /* private */
    bool converts, rename, normalise; /* characters, MSH-18, segments' ends */
    size_t lead;                      /* where MSH begins */
    size_t set_start, set_end;        /* MSH-18, or where it is to be */
    unsigned separators;              /* that are to be put in front of it */
    char field;                       /* MSH-1 */
};

/* message: one message, of a batch a single one of it. *ret_offset is where the problem lies (bytes from
 * the message's start); untouched on RECODE_OK. */
enum recode_problem recode_plan(struct span message, const struct recode_rules *rules,
                                struct recode *ret_recode, size_t *ret_offset);
/* Writes the plan's `length` bytes. 0, or -ENOMEM (as above). */
__attribute__((warn_unused_result)) int recode_write(const struct recode *recode,
                                                     struct span message, char *out);

/* The way back: an answer in UTF-8 for the sender of that message, in the message's set and with its
 * MSH-18. Appends. -EILSEQ: it has characters that the set lacks; -ENOMEM, -EMSGSIZE (out's maximum). */
__attribute__((warn_unused_result)) int recode_answer(const struct recode *recode,
                                                      struct span message, struct span answer,
                                                      struct buffer *out);

/* Whether this machine can convert from it at all. */
bool recode_knows(enum charset charset);

/* "the bytes are not in the character set that MSH-18 names": for logs and people. */
const char *recode_problem_words(enum recode_problem problem);

#endif
