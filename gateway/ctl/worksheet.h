/*
 * worksheet: what the other side of a tunnel has to set, as it sees it: its networks are the tunnel's
 * remote ones, its peer is us.
 *
 * In words, or as configuration for what the other side runs. Names in capitals are the reader's to
 * fill in. A pre-shared key is never read: PUT-THE-KEY-HERE stands for it, and the sheet says who has
 * it. Nothing is left out in silence: a proposal that the other side has no word for is named in a
 * comment.
 * Pure but for what it writes to `out`.
 */
#ifndef MLLPGW_CTL_WORKSHEET_H
#define MLLPGW_CTL_WORKSHEET_H

#include "config/config.h"
#include "config/ike_identity.h"
#include "config/proposal.h"

#include <stdio.h>

enum worksheet_kind {
    WORKSHEET_WORDS,
    WORKSHEET_SWANCTL,
    WORKSHEET_AWS,
    WORKSHEET_GOOGLE,
    WORKSHEET_AZURE,
    WORKSHEET_FORTIGATE,
    WORKSHEET_ASA,
    WORKSHEET_KINDS
};

extern const char *const worksheet_kind_names[WORKSHEET_KINDS]; /* as --for has them */

/* False when the other side could not be set up like this: the sheet says why. */
__attribute__((warn_unused_result)) bool worksheet_print(const struct config *config,
                                                         const struct config_tunnel *tunnel,
                                                         enum worksheet_kind kind, FILE *out);

/* ---- what its files share ---- */

#define WORKSHEET_PROPOSALS 16
#define WORKSHEET_NAME_BYTES 72
#define WORKSHEET_KEY "PUT-THE-KEY-HERE"

struct worksheet {
    const struct config *config;
    const struct config_tunnel *tunnel;
    enum worksheet_kind kind;
    FILE *out;
    /* As the other side sees them: behind a NAT ours is the public one. Or a word in capitals. */
    const char *your_address, *our_address;
    const char *your_id, *our_id;
    char our_placeholder[WORKSHEET_NAME_BYTES + 16];
    /* Those that the other side has words for. */
    struct proposal ike[WORKSHEET_PROPOSALS], esp[WORKSHEET_PROPOSALS];
    size_t ike_count, esp_count;
    bool impossible;
};

void worksheet_begin(struct worksheet *sheet, const struct config *config,
                     const struct config_tunnel *tunnel, enum worksheet_kind kind, FILE *out);
/* Who made it, who has the key, what was left out; lines begin with `mark` ("# "). */
void worksheet_heading(struct worksheet *sheet, const char *mark);
/* "# TCP segments: …", unless they are not to be clamped. */
void worksheet_mss(const struct worksheet *sheet, const char *text);

int64_t worksheet_clamped(int64_t value, int64_t least, int64_t most);

/* Is it the address that the other side has anyhow? */
bool worksheet_proves_address(const struct worksheet *sheet);

/* worksheet_names.c: the other side's word; NULL when it has none. Groups: see worksheet_group(). */
const char *worksheet_name(enum worksheet_kind kind, enum proposal_protocol protocol,
                           const struct proposal_word *word);
/* A group's name there; NULL when it has none. */
const char *worksheet_group(enum worksheet_kind kind, enum proposal_protocol protocol,
                            const struct proposal_word *word);
/* The first word of the proposal that there is no word for; NULL: it fits. */
const char *worksheet_misfit(enum worksheet_kind kind, const struct proposal *proposal);
/* A tunnel's name with nothing but letters, digits and '-', small, at most `most` bytes. One that is
 * cut ends in a number made of the whole, so that two that begin alike stay two. */
const char *worksheet_plain_name(const char *name, size_t most,
                                 char ret_name[WORKSHEET_NAME_BYTES]);
/* Calls take once for each different name of that kind over all the proposals; returns how many. */
size_t worksheet_each(const struct worksheet *sheet, const struct proposal *proposals, size_t count,
                      unsigned kinds, void (*take)(FILE *out, size_t n, const char *name));
#define WORKSHEET_KIND_BIT(kind) (1u << (kind))

/* "10.20.0.0/24" as "10.20.0.0 255.255.255.0"; IPv6 as it is. */
const char *worksheet_masked(const char *subnet, char ret_text[80]);

bool worksheet_swanctl(struct worksheet *sheet);
bool worksheet_aws(struct worksheet *sheet);
bool worksheet_google(struct worksheet *sheet);
bool worksheet_azure(struct worksheet *sheet);
bool worksheet_fortigate(struct worksheet *sheet);
bool worksheet_asa(struct worksheet *sheet);
void worksheet_words(struct worksheet *sheet);

#endif
