/*
 * proposal: cipher proposals in strongSwan's keywords, as "aes256gcm16-prfsha384-ecp384".
 *
 * What charon would take silently and fail with later is refused here: words that nobody knows, an
 * AEAD cipher beside an integrity algorithm, CBC without integrity, IKE without a group or a PRF.
 * Weak words (broken ciphers and hashes, groups under 2048 bits, no encryption) are refused unless the
 * caller allows that very word. Pure. Errors: NULL is well, else ret_error, one sentence for people.
 * Sources: strongSwan's IKEv2 cipher suites; RFC 8221, RFC 8247 for what is weak.
 */
#ifndef MLLPGW_CONFIG_PROPOSAL_H
#define MLLPGW_CONFIG_PROPOSAL_H

#include <stdbool.h>
#include <stddef.h>

#define PROPOSAL_ERROR_BYTES 512
#define PROPOSAL_WORDS 24 /* most words in one proposal */

enum proposal_protocol { PROPOSAL_IKE, PROPOSAL_ESP };

enum proposal_kind {
    PROPOSAL_ENCRYPTION, /* wants an integrity algorithm beside it */
    PROPOSAL_AEAD,       /* encrypts and authenticates; key lengths apart it stands alone */
    PROPOSAL_INTEGRITY,
    PROPOSAL_PRF,
    PROPOSAL_GROUP, /* Diffie-Hellman: MODP, ECP, curve */
    PROPOSAL_ESN
};

struct proposal_word {
    const char *name;
    /* What charon calls it in encr-alg, integ-alg, prf-alg and dh-group; "" for esn. */
    const char *charon;
    enum proposal_kind kind;
    unsigned bits;  /* encr-keysize, where charon tells one; else 0 */
    unsigned group; /* IANA's number of a group; else 0 */
    bool weak;
};

struct proposal {
    enum proposal_protocol protocol;
    /* As written; IKE without a PRF has those of its integrity algorithms behind them, as charon
     * adds them. */
    const struct proposal_word *words[PROPOSAL_WORDS];
    size_t count;
};

/* allowed: the weak words that may be used. */
const char *proposal_parse(const char *text, enum proposal_protocol protocol,
                           const char *const *allowed, size_t allowed_count,
                           struct proposal *ret_proposal, char ret_error[PROPOSAL_ERROR_BYTES]);
/* NULL when strongSwan has no such keyword (or one that only older versions had). */
const struct proposal_word *proposal_word(const char *name);
/* The first word of the kind behind `after` (NULL: the first of all); NULL when there is none. */
const struct proposal_word *proposal_next(const struct proposal *proposal, enum proposal_kind kind,
                                          const struct proposal_word *after);

#endif
