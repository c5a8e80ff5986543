#include "vpn/alert.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const char *const types[][2] = {
    {"authorization-failed", "the other side is not authorized"},
    {"cert-exceeded-path-len", "the other side's certificate chain is too long"},
    {"cert-expired", "a certificate of the other side has expired"},
    {"cert-no-issuer", "no CA that is trusted here issued the other side's certificate"},
    {"cert-policy-violation", "the other side's certificate violates a policy of its CA"},
    {"cert-revoked", "the other side's certificate is revoked"},
    {"cert-untrusted-root", "the root of the other side's certificate is not trusted here"},
    {"cert-validation-failed",
     "whether the other side's certificate is revoked can't be found out"},
    {"half-open-timeout", "the other side began and did not go on"},
    {"ike-sa-expired", "the IKE SA ran out before it could be rekeyed"},
    {"install-child-policy-failed", "the kernel refused the CHILD SA's policy"},
    {"install-child-sa-failed", "the kernel refused the CHILD SA"},
    {"invalid-ike-spi", "the other side speaks of an IKE SA that is not known here"},
    {"keep-on-child-sa-failure", "the CHILD SA was refused; the IKE SA stays"},
    {"local-auth-failed", "the other side refused our key or identity"},
    {"parse-error-body", "the other side's message can't be read: is the key the same on both?"},
    {"parse-error-header", "the other side's message can't be read"},
    {"peer-addr-failed", "the other side's name can't be resolved"},
    {"peer-auth-failed", "the other side's key or identity is not what is expected"},
    {"peer-init-unreachable", "the other side does not answer"},
    {"proposal-mismatch-child", "no ESP proposal in common"},
    {"proposal-mismatch-ike", "no IKE proposal in common"},
    {"radius-not-responding", "a RADIUS server does not answer"},
    {"retransmit-send-timeout", "the other side stopped answering"},
    {"ts-mismatch", "the subnets of both sides don't match"},
    {"ts-narrowed", "the subnets were narrowed to what both sides have"},
    {"unique-keep", "ended: another IKE SA of the same identity was kept"},
    {"unique-replace", "ended: replaced by a newer IKE SA of the same identity"},
    {"vip-failure", "no virtual address could be assigned"},
};

static const char *const silent[] = {
    "retransmit-receive",
    "retransmit-send",
    "retransmit-send-cleared",
    "shutdown-signal",
};

const char *alert_of_type(const char *type, char other[ALERT_TEXT_BYTES])
{
    for (size_t i = 0; i < sizeof silent / sizeof silent[0]; i++) {
        if (strcmp(type, silent[i]) == 0)
            return NULL;
    }
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(type, types[i][0]) == 0)
            return types[i][1];
    }
    snprintf(other, ALERT_TEXT_BYTES, "charon says: %.100s", type);
    for (char *at = other; *at != '\0'; at++) {
        if (!isprint((unsigned char)*at))
            *at = '?';
    }
    return other;
}

const char *alert_of_ike_down(const struct sa_ike *ike)
{
    switch (ike->state) {
    case SA_IKE_CREATED:
    case SA_IKE_CONNECTING:
        /* Algorithms are named once IKE_SA_INIT was through: what is refused then is a proof. */
        return ike->cipher[0] != '\0'
                   ? "refused while being set up: key, identities or certificates don't match"
                   : "refused while being set up: no IKE proposal in common, or no IKEv2 for us there";
    case SA_IKE_DELETING:
        return ike->peer_deletes ? "the other side ended the tunnel" : "ended from this side";
    case SA_IKE_ESTABLISHED:
    case SA_IKE_REKEYING:
        return "the other side stopped answering";
    case SA_IKE_OTHER:
    case SA_IKE_PASSIVE:
    case SA_IKE_REKEYED:
    case SA_IKE_DESTROYING:
        break;
    }
    return "the IKE SA ended";
}
