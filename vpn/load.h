/*
 * load: what a configured tunnel is in charon: the messages that load it, start it and take it away,
 * and what of charon's is ours to take away.
 *
 * Everything that has a name in charon is called CONFIG_TUNNEL_PREFIX and the tunnel's name: the
 * connection, its only child and the shared key. Only what is called so is ever replaced or removed.
 * Certificates and private keys have no names there: a tunnel's own certificate and the roots of the
 * other side go with its connection, which holds the other side to those roots. CRLs have none either:
 * a newer one takes the place of its issuer's older one.
 *
 * Valid for strongSwan 5.9 and 6.x (src/libcharon/plugins/vici/README.md). A connection that charon
 * has just so already changes nothing there; another one under the same name replaces it, and is
 * started anew with start = "start".
 *
 * Pure. The messages are the caller's to free, as vici_builder_free() wipes them. Errors: what
 * vici_builder_finish() says; -ENOMEM.
 */
#ifndef MLLPGW_VPN_LOAD_H
#define MLLPGW_VPN_LOAD_H

#include "config/config.h"
#include "vpn/proof.h"
#include "vpn/vici.h"

#define LOAD_NAME_BYTES 128
#define LOAD_NAMES_MAXIMUM 4096u

/* CONFIG_TUNNEL_PREFIX and the name. */
void load_name(const char *tunnel, char ret_name[LOAD_NAME_BYTES]);

/* load-shared, load-key; load-cert for certificate `index` of the chain (not 0: that one goes with the
 * connection), or for a CRL; load-conn. Each starts a builder: free it whatever the answer. */
__attribute__((warn_unused_result)) int load_shared(const struct config_tunnel *tunnel,
                                                    const struct proof *proof,
                                                    struct vici_builder *ret_message);
__attribute__((warn_unused_result)) int load_key(const struct proof *proof,
                                                 struct vici_builder *ret_message);
__attribute__((warn_unused_result)) int load_certificate(const struct proof *proof, size_t index,
                                                         struct vici_builder *ret_message);
__attribute__((warn_unused_result)) int load_crl(const struct proof *proof, size_t index,
                                                 struct vici_builder *ret_message);
/* flush-certs: charon keeps copies of CRLs that it has checked, and takes the first one that has not run
 * out, also when a newer one was loaded (5.9.8). Nothing that was loaded goes by it. */
__attribute__((warn_unused_result)) int load_forget_crls(struct vici_builder *ret_message);
__attribute__((warn_unused_result)) int load_connection(const struct config_tunnel *tunnel,
                                                        const struct proof *proof,
                                                        struct vici_builder *ret_message);
/* What a tunnel is loaded with, as a digest: its load-conn and its pre-shared key. seed: of this process,
 * so that the digest is of no use to anybody else. 0, or -ENOMEM. */
#define LOAD_TERMS_BYTES 32
__attribute__((warn_unused_result)) int load_terms(uint64_t seed,
                                                   const struct vici_builder *connection,
                                                   const struct proof *proof,
                                                   uint8_t ret_terms[LOAD_TERMS_BYTES]);
/* initiate: charon answers at once, what becomes of it comes by events. */
__attribute__((warn_unused_result)) int load_initiate(const char *tunnel,
                                                      struct vici_builder *ret_message);
/* For names as charon has them: unload-conn, terminate (all SAs of that connection, at once, whether the other
 * side agrees or not), unload-shared, unload-key. */
__attribute__((warn_unused_result)) int load_unload(const char *name,
                                                    struct vici_builder *ret_message);
__attribute__((warn_unused_result)) int load_terminate(const char *name,
                                                       struct vici_builder *ret_message);
__attribute__((warn_unused_result)) int load_unload_id(const char *id,
                                                       struct vici_builder *ret_message);

/* --- answers ------------------------------------------------------------------------------ */

#define LOAD_TEXT_BYTES 256

/* true: "success=yes". Otherwise charon's errmsg in ret_error. */
bool load_succeeded(struct vici_text answer, char ret_error[LOAD_TEXT_BYTES]);
/* A key's text value; empty when there is none or it is too long. */
void load_value(struct vici_text answer, const char *key, char ret_text[LOAD_TEXT_BYTES]);
/* Does a list of an answer have the word? *ret_there (may be NULL): is there such a list? */
bool load_list_has(struct vici_text answer, const char *list, const char *word, bool *ret_there);

/* Names, each for itself. */
struct load_names {
    char **items;
    size_t count;
};

/* All of a list ("conns" of get-conns, "keys" of get-shared and get-keys) that begin with prefix; ""
 * for all. Names that are too long or hold a zero are nobody's and left out. */
__attribute__((warn_unused_result)) int load_names_read(struct vici_text answer, const char *list,
                                                        const char *prefix,
                                                        struct load_names *ret_names);
__attribute__((warn_unused_result)) int load_names_add(struct load_names *names,
                                                       struct vici_text text);
bool load_names_have(const struct load_names *names, const char *name);
void load_names_free(struct load_names *names);

/* Is this something of ours in charon that the configuration does not have (any more)? key: a shared
 * key's name; else a connection's. */
bool load_is_leftover(const struct config *config, const char *name, bool key);
/* A list-sa: is it an SA of ours that the configuration does not have, and that nobody is ending yet? */
bool load_sa_is_leftover(const struct config *config, struct vici_text message,
                         char ret_name[LOAD_NAME_BYTES]);

#endif
