/* What guards_*.c share: one tunnel, or a pair (both carry the same), and its networks in nft's words. */
#ifndef MLLPGW_CTL_GUARDS_PRIVATE_H
#define MLLPGW_CTL_GUARDS_PRIVATE_H

#include "config/address.h"
#include "ctl/guards.h"

enum { FAMILY_4, FAMILY_6, FAMILIES };
extern const char *const guards_family_words[FAMILIES]; /* "ip", "ip6" */

/* Networks of one side and one family. */
struct guards_networks {
    char *set;  /* "{ 10.20.0.0/24, 10.21.0.0/24 }"; NULL: none, or every */
    bool every; /* 0.0.0.0/0 or ::/0 is among them: nothing can be told from it */
};

struct guards_subject {
    struct guards *guards;
    const struct config *config;
    const struct config_tunnel *tunnel, *pair; /* pair may be NULL */
    struct guards_networks local[FAMILIES], remote[FAMILIES];
};

/* Reads tunnel's networks; guards_subject_free() in any case. 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int guards_subject_make(struct guards_subject *subject);
void guards_subject_free(struct guards_subject *subject);
bool guards_has_family(const struct guards_networks *networks);

bool guards_parse(const char *text, struct address_network *ret_network);
/* Without "/32" and "/128", as ip prints it. */
const char *guards_print_network(const struct address_network *network, char ret_text[64]);
/* Does another one of the list hold it? Sets may not have a network twice. */
bool guards_is_held(const struct config_strings *subnets, size_t which,
                    const struct address_network *network);
/* "ip saddr { … } ip daddr { … }"; NULL for what is not to be looked at. To be freed; NULL: no memory. */
char *guards_narrow(int family, const char *from, const char *to);

const char *guards_from_tunnel(const struct guards *guards);
const char *guards_to_tunnel(const struct guards *guards);

/* 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int guards_add_mss(const struct guards_subject *subject);
__attribute__((warn_unused_result)) int guards_add_routes(const struct guards_subject *subject);
__attribute__((warn_unused_result)) int guards_add_notes(const struct guards_subject *subject);

#endif
