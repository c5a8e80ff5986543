/*
 * charset: from MSH-18 to the charset parameter of a Content-Type.
 *
 * Sources: HL7 table 0211; IANA's character set registry. Pure. Threads: any.
 */
#ifndef MLLPGW_EGRESS_CHARSET_H
#define MLLPGW_EGRESS_CHARSET_H

#include "hl7/msh.h"

/* "utf-8" for "UNICODE UTF-8". NULL when MSH-18 is empty (the standard says ASCII, senders do not
 * keep to it), repeats (ISO 2022 switching) or has no IANA name: then nothing is claimed. */
const char *charset_of(const struct msh *msh);

#endif
