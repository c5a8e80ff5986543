/*
 * msh: the message header, read where it lies.
 *
 * Finds the fields of MSH that a gateway needs, as spans into the message; copies and allocates
 * nothing; one pass over the header segment. Never looks behind the header segment's end (CR, or
 * LF for the many senders that write LF), and never reads FHS or BHS as if they were MSH.
 * Pure: no I/O, no clock, no log. Threads: any.
 *
 * What may stand before "MSH": a UTF-8 byte order mark, white space (CR, LF, space): lenient, seen
 * in the field; the bytes are relayed untouched. Anything else is MSH_NOT_HL7.
 * Source: HL7 2.9 chapter 2, 2.14.9 (MSH), 2.5.4 (delimiters).
 */
#ifndef MLLPGW_HL7_MSH_H
#define MLLPGW_HL7_MSH_H

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

enum msh_problem {
    MSH_OK,
    MSH_NOT_HL7,       /* does not start with MSH (XML, JSON, UTF-16, EBCDIC, lower case ...) */
    MSH_NO_DELIMITERS, /* ends before MSH-2 is complete */
    MSH_BAD_SEPARATOR, /* MSH-1 is a control character, alphanumeric or space */
    MSH_BAD_ENCODING,  /* MSH-2 empty, over 5 characters, alphanumeric, or its characters repeat */
    MSH_NO_MESSAGE_TYPE,     /* MSH-9.1 empty or the header ends before it */
    MSH_NUL_IN_CONTROL_ID,   /* NUL, VT or FS: cannot be echoed safely to every peer */
    MSH_CONTROL_ID_TOO_LONG, /* over MSH_CONTROL_ID_MAXIMUM */
};

#define MSH_CONTROL_ID_MAXIMUM                                                                     \
    1024 /* bytes that an acknowledgment is ready to echo (199 is the standard's) */

enum msh_condition { /* table 0155 */
                     MSH_CONDITION_EMPTY,
                     MSH_CONDITION_AL,
                     MSH_CONDITION_NE,
                     MSH_CONDITION_ER,
                     MSH_CONDITION_SU,
                     MSH_CONDITION_OTHER, /* counts as AL, with a warning */
};

enum msh_envelope { MSH_ENVELOPE_NONE, MSH_ENVELOPE_BATCH, MSH_ENVELOPE_FILE };

struct msh {
    char field, component, repetition, escape, subcomponent; /* 0 where MSH-2 is shorter */
    struct span encoding;                                    /* MSH-2 as it came */
    struct span sending_application, sending_facility;       /* MSH-3, MSH-4, whole */
    struct span receiving_application, receiving_facility;   /* MSH-5, MSH-6 */
    struct span sending_application_id, sending_facility_id; /* MSH-3.1, MSH-4.1 */
    struct span message_type;                                /* MSH-9, whole */
    struct span message_code, trigger_event, structure;      /* MSH-9.1, 9.2, 9.3 */
    struct span control_id;                                  /* MSH-10 */
    struct span processing_id, version;                      /* MSH-11, MSH-12 */
    struct span version_id;                                  /* MSH-12.1 */
    struct span sequence_number;                             /* MSH-13 */
    struct span accept_condition, application_condition;     /* MSH-15, MSH-16 as they came */
    enum msh_condition accept, application;
    struct span character_set; /* MSH-18, whole */
    struct span segment;       /* the header segment, without its end */
};

/* Reads the first segment of content. What can be read is filled in whatever the problem is:
 *  NOT_HL7, NO_DELIMITERS, BAD_SEPARATOR: field is 0 and everything is empty (answer with
 *    ack_synthetic_header(), which ack_build() does by itself then);
 *  BAD_ENCODING: usable delimiters stand in for the sender's, fields are filled in as far as MSH-1
 *    splits them reliably (not when MSH-2 is empty or too long: then all of them would be shifted);
 *  the others: everything (MSH-10 is empty after MSH_CONTROL_ID_TOO_LONG, so answers stay small).
 * MSH-2 "^~\\&" (the escape character doubled) is accepted: it is seen in the field.
 * *ret_offset, when not NULL, is where the problem lies (bytes from the start of content); it is
 * untouched on MSH_OK. */
enum msh_problem msh_read(struct span content, struct msh *ret_msh, size_t *ret_offset);

/* For batches: reads an FHS or BHS segment (its first bytes), whose fields 1-6 mean what MSH's do.
 * The other fields stay empty. */
enum msh_problem msh_read_envelope(struct span segment, struct msh *ret_msh, size_t *ret_offset);
/* Number of bytes before the header that are tolerated (byte order mark, CR, LF, space). */
size_t msh_lead(struct span content);

/* "MSH-2 is empty or repeats a delimiter": for logs, ERR-8 and check. */
const char *msh_problem_words(enum msh_problem problem);
/* The ERR-2 location and the table 0357 code for the problem. */
void msh_problem_error(enum msh_problem problem, const char **ret_location, int *ret_code);

bool msh_is_acknowledgment(const struct msh *msh); /* MSH-9.1 is ACK */
/* Enhanced mode: MSH-15 or MSH-16 valued. */
bool msh_is_enhanced(const struct msh *msh);

#endif
