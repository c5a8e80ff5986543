/*
 * charset: character sets by the names that MSH-18 and the settings use.
 *
 * One table: HL7's name (table 0211, or what senders write instead), IANA's, iconv's. A name is found
 * whatever its case, spaces and punctuation: "ISO IR87" is "ISOIR87", "8859/1" is "ISO-8859-1".
 * Names of iconv come from here only, never from a message.
 * Sources: HL7 2.9 table 0211 and 2.14.9.18 (MSH-18); IANA's registry of character sets.
 * Pure. Threads: any.
 */
#ifndef MLLPGW_HL7_CHARSET_H
#define MLLPGW_HL7_CHARSET_H

#include "hl7/msh.h"

/* The numbers are written into the spool with each message: never give one another meaning.
 * Peers' setting character_set has the same ones, in this order (those in front of CHARSET_UTF_16). */
enum charset {
    CHARSET_NONE = 0, /* nothing is said of it */
    CHARSET_ASCII = 1,
    CHARSET_8859_1 = 2,
    CHARSET_8859_2 = 3,
    CHARSET_8859_3 = 4,
    CHARSET_8859_4 = 5,
    CHARSET_8859_5 = 6,
    CHARSET_8859_6 = 7,
    CHARSET_8859_7 = 8,
    CHARSET_8859_8 = 9,
    CHARSET_8859_9 = 10,
    CHARSET_8859_15 = 11,
    CHARSET_JIS = 12,       /* ISO IR87: JIS X 0208 by the escapes of ISO 2022 */
    CHARSET_JIS_MORE = 13,  /* ISO IR159 besides: JIS X 0212 */
    CHARSET_GB_18030 = 14,  /* GB 2312 and GBK are parts of it */
    CHARSET_KS_X_1001 = 15, /* as EUC-KR writes it */
    CHARSET_CNS_11643 = 16, /* as EUC-TW writes it */
    CHARSET_BIG_5 = 17,
    CHARSET_UTF_8 = 18,
    CHARSET_WINDOWS_1250 = 19,
    CHARSET_WINDOWS_1251 = 20,
    CHARSET_WINDOWS_1252 = 21,
    CHARSET_WINDOWS_1253 = 22,
    CHARSET_WINDOWS_1254 = 23,
    CHARSET_WINDOWS_1255 = 24,
    CHARSET_WINDOWS_1256 = 25,
    CHARSET_WINDOWS_1257 = 26,
    CHARSET_WINDOWS_1258 = 27,
    CHARSET_WINDOWS_874 = 28, /* Thai */
    CHARSET_WINDOWS_31J = 29, /* Shift_JIS as Windows has it */
    CHARSET_WINDOWS_949 = 30, /* KS X 1001 and all other Korean syllables */
    CHARSET_UTF_16 = 31,      /* no message that can be read as bytes is in one of these two */
    CHARSET_UTF_32 = 32,
    CHARSET_COUNT
};

/* "UNICODE UTF-8", "8859/1", "WINDOWS-1252": as the settings write it. */
const char *charset_name(enum charset charset);
/* "utf-8": for a Content-Type. NULL: IANA has none. */
const char *charset_iana(enum charset charset);
/* What iconv calls it; NULL: there is nothing to convert from. */
const char *charset_iconv(enum charset charset);
/* Whether it switches by escape sequences, so that bytes below 0x80 may be anything. */
bool charset_has_escapes(enum charset charset);
/* Whether each byte is a character by itself. */
bool charset_has_single_bytes(enum charset charset);
/* The larger set in which each character of charset has the same bytes; CHARSET_NONE: none known. */
bool charset_is_part_of(enum charset charset, enum charset larger);

/* CHARSET_NONE: nobody knows it. */
enum charset charset_find(struct span name);

/* What MSH-18 says. */
enum charset_claim {
    CHARSET_CLAIM_NOTHING, /* empty, or ASCII, which empty stands for */
    CHARSET_CLAIM_ONE,
    CHARSET_CLAIM_UNKNOWN, /* a name that is not known */
    CHARSET_CLAIM_SEVERAL, /* repetitions that no single conversion does justice to */
};

/* Repetitions are one set where they name the same one, or what Japanese senders switch between by
 * escapes ("~ISO IR87", "ASCII~ISO IR14~ISO IR87"). *ret_charset is set with CHARSET_CLAIM_ONE. */
enum charset_claim charset_of_header(const struct msh *msh, enum charset *ret_charset);

#endif
