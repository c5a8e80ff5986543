/*
 * ack: builds acknowledgments, decides which are due, and reads those of others.
 *
 * Rules: HL7 2.9 chapter 2, 2.9.2 (original mode), 2.9.3 (enhanced mode), 2.14.8 (MSA),
 * 2.14.5 (ERR), tables 0008, 0155, 0357. Delimiters, MSH-11, MSH-12, MSH-18 are the original's;
 * MSH-15/16 are not copied; MSA-2 is MSH-10 byte for byte.
 * Pure: the time and the control id are handed in. Threads: any.
 */
#ifndef MLLPGW_HL7_ACK_H
#define MLLPGW_HL7_ACK_H

#include "base/buffer.h"
#include "hl7/batch.h"
#include "hl7/msh.h"

enum ack_code { ACK_AA, ACK_AE, ACK_AR, ACK_CA, ACK_CE, ACK_CR, ACK_CODE_UNKNOWN };

const char *ack_code_text(enum ack_code code); /* "AA" */
bool ack_code_is_positive(enum ack_code code); /* AA, CA */

/* What became of the message, before it is known which answer the sender asked for. */
enum ack_outcome {
    ACK_OUTCOME_ACCEPTED,
    ACK_OUTCOME_ERROR,  /* AE / CE: the content, or something that another try may cure */
    ACK_OUTCOME_REJECT, /* AR / CR: MSH-9, 11, 12, or reasons that lie outside the content */
};

/* table 0357 */
enum ack_error {
    ACK_ERROR_NONE = 0,
    ACK_ERROR_SEGMENT_SEQUENCE = 100,
    ACK_ERROR_REQUIRED_FIELD = 101,
    ACK_ERROR_DATA_TYPE = 102,
    ACK_ERROR_TABLE_VALUE = 103,
    ACK_ERROR_MESSAGE_TYPE = 200,
    ACK_ERROR_EVENT = 201,
    ACK_ERROR_PROCESSING_ID = 202,
    ACK_ERROR_VERSION = 203,
    ACK_ERROR_UNKNOWN_KEY = 204,
    ACK_ERROR_DUPLICATE_KEY = 205,
    ACK_ERROR_RECORD_LOCKED = 206,
    ACK_ERROR_INTERNAL = 207,
};
const char *ack_error_words(int code); /* table 0357's own words */

/* How a listener answers ("message" = what the sender's MSH-15/16 ask for). */
enum ack_mode { ACK_MODE_MESSAGE, ACK_MODE_ORIGINAL, ACK_MODE_ENHANCED };

struct ack_plan {
    bool accept;            /* an accept acknowledgment (CA/CE/CR) is due */
    bool application;       /* an application acknowledgment (AA/AE/AR) is due */
    bool silent_failure;    /* the outcome is negative and nothing may be sent: close instead */
    bool unknown_condition; /* MSH-15 or MSH-16 outside table 0155 (counted as AL) */
    enum ack_code accept_code, application_code;
};

/* Which answers are due for this header and outcome. CR only for a REJECT whose error is 200-203
 * (MSH-9, 11, 12), CE for every other failure in enhanced mode. After a negative accept
 * acknowledgment no application acknowledgment follows. Mode ENHANCED with both conditions empty
 * counts as AL/NE. */
struct ack_plan ack_decide(const struct msh *msh, enum ack_mode mode, enum ack_outcome outcome,
                           int error);

struct ack_error_detail {
    const char *location; /* "MSH^1^9^1^2" written with ^: re-written with the sender's delimiter */
    int code;             /* table 0357; 0: no ERR */
    char severity;        /* E W I F */
    const char *text;     /* ERR-8 (and MSA-3 up to 2.6): ours, no content; escaped; may be NULL */
    const char *diagnostic; /* ERR-7, may be NULL */
};

struct ack_parameters {
    enum ack_code code;
    const struct msh *original;           /* may have empty fields; never NULL */
    struct span control_id_override;      /* batches: BHS-11/FHS-11 for MSA-2; data NULL: MSH-10 */
    const char *control_id;               /* MSH-10 of the answer, at most 20 characters */
    int64_t wall_ms;                      /* MSH-7 */
    int zone_minutes;                     /* offset of local time from UTC */
    const char *application;              /* own MSH-3, NULL: the original's MSH-5 */
    const char *facility;                 /* own MSH-4, NULL: the original's MSH-6 */
    const struct ack_error_detail *error; /* NULL: none */
    struct span raw_errors; /* ERR segments to append as they are (from a record); may be empty */
    bool has_sequence;
    long sequence; /* MSA-4 */
};

/* Appends the message (no framing), segments ended by CR. ERR only from 2.5 on (an empty or
 * unreadable version counts as 2.3); MSA-3 only up to 2.6. Never truncates: an echoed field that
 * would break the answer itself (it holds FS or VT, or the answer's field separator) is left empty,
 * raw_errors with FS or VT are left out, and so is an MSH-18 that is no name of a character set (text
 * of the body behind a header without an end). application and facility may hold '^' for the
 * sender's component separator. A header without delimiters is answered with the synthetic one. */
__attribute__((warn_unused_result)) int ack_build(struct buffer *out,
                                                  const struct ack_parameters *parameters);

/* A header to answer with when none could be read: |^~\&, everything else empty, version 2.5. */
void ack_synthetic_header(struct msh *ret_msh);

/* What another system answered. */
struct ack_reply {
    enum ack_code code;         /* MSA-1 */
    struct span control_id;     /* MSA-2, the bytes between the delimiters */
    struct span error_location; /* ERR-2 of the first ERR (or ERR-1 before 2.5) */
    int error_code;             /* ERR-3.1 of the first ERR; 0 when none or not a number */
    struct span errors;         /* all ERR segments as they came (contiguous), ends included */
    struct msh header;
};
/* 0, or -EBADMSG when content isn't an HL7 acknowledgment (no MSH, no MSA, unknown MSA-1). */
__attribute__((warn_unused_result)) int ack_read(struct span content, struct ack_reply *ret_reply);

/* A body may hold several answers: on end, in FHS/BHS envelopes, each in MLLP framing. Calls
 * each(answer) for every MSH in order, without framing and envelope; stops and returns its value when
 * not 0. VT and FS separate where a header or nothing follows them, and are bytes elsewhere. */
int ack_each(struct span body, int (*each)(struct span answer, void *context), void *context);

/* Which of several answers to one message tells its fate: the heavier one, of equals the first. A
 * negative one outweighs every positive one, and an application acknowledgment an accept
 * acknowledgment of the same kind. */
int ack_code_weight(enum ack_code code);

/* That one of the body's answers; those that can't be read are left out. ret_answer is what of the
 * body it is. -EBADMSG when none can be read. */
__attribute__((warn_unused_result)) int ack_read_heaviest(struct span body, struct span *ret_answer,
                                                          struct ack_reply *ret_reply);

#endif
