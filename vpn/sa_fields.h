/* sa_fields: for sa.c only: one key of an IKE SA or CHILD SA into its struct. */
#ifndef MLLPGW_VPN_SA_FIELDS_H
#define MLLPGW_VPN_SA_FIELDS_H

#include "vpn/sa.h"

void sa_copy_text(struct vici_text text, char *ret_text, size_t size);
void sa_copy_name(struct vici_text text, char ret_name[SA_NAME_BYTES]);
/* What belongs to the cipher is collected in names. */
void sa_set_ike(struct sa_ike *ike, struct proposal_names *names, const struct vici_element *e);
void sa_set_child(struct sa_child *child, struct proposal_names *names,
                  const struct vici_element *e);

#endif
