/* The settings of tunnels: one row each, as in table.c. */
#include "config/table.h"

_Static_assert(sizeof(enum config_preset) == sizeof(int), "enums are ints");

#define OWNER config_tunneld
const struct setting tunneld_settings[] = {
    {AT(status_socket), .type = SETTING_PATH, .fallback = "/run/mllp-tunneld/status.sock",
     .restart = true, .help = "Where mllp-tunneld tells the gateway how the tunnels are."},
    {AT(vici_socket), .type = SETTING_PATH, .fallback = "/run/charon.vici", .restart = true,
     .help = "charon's socket; whoever can open it can become root: mllp-tunneld alone does."},
    {AT(user), .type = SETTING_TEXT, .fallback = "mllp-tunneld", .restart = true,
     .help = "mllp-tunneld's user, by name or number; no other user's status is believed."},
    {AT(on_unknown), .type = SETTING_WORD, .fallback = "hold", .words = WORDS("hold", "close"),
     .help =
         "While nothing is heard of the tunnels (mllp-tunneld or charon gone): sessions stay, and "
         "new ones are admitted for hold_s where the tunnel was up; or all close at once."},
    {AT(hold_s), .type = SETTING_INT64, .fallback = "60", .maximum = DAY_S,
     .help = "How long the last known \"up\" admits new connections while nothing is heard."},
};
#undef OWNER

#define OWNER config_tunnel
const struct setting tunnel_settings[] = {
    {AT(name), .type = SETTING_NAME, .required = true,
     .help = "What peers call it; in charon mllpgw- and this name."},
    {AT(preset), .type = SETTING_WORD, .fallback = "strongswan",
     .words = WORDS("strongswan", "aws", "google", "azure", "fortigate", "asa", "paloalto"),
     .help =
         "What the other side is: fills in proposals, lifetimes, DPD and MSS that are not set."},
    {AT(remote), .type = SETTING_TEXT, .required = true,
     .help = "The other side's address or DNS name; \"%any\": wherever it calls from (with start = "
             "\"none\" and remote_id)."},
    {AT(local), .type = SETTING_TEXT, .note = "charon chooses", .help = "Own address."},
    {AT(remote_id), .type = SETTING_TEXT, .note = "remote",
     .help = "Identity that the other side must prove; with certificates a name in its own."},
    {AT(local_id), .type = SETTING_TEXT, .note = "local",
     .help = "Own identity, as behind a NAT; with certificates a name in our own."},
    {AT(psk_file), .type = SETTING_PATH, .note = "none", .file = FILE_SECRET,
     .help = "File with the pre-shared key, one line."},
    {AT(certificate), .type = SETTING_PATH, .note = "none", .file = FILE_PUBLIC,
     .help = "Own certificate instead of a PSK, PEM chain, with key and remote_ca."},
    {AT(key), .type = SETTING_PATH, .note = "none", .file = FILE_SECRET,
     .help = "Its private key, PEM."},
    {AT(remote_ca), .type = SETTING_PATH, .note = "none", .file = FILE_PUBLIC,
     .help = "The root that the other side's certificate must chain to, PEM."},
    {AT(crl), .type = SETTING_PATH, .note = "none", .file = FILE_PUBLIC,
     .help = "Revocation lists of that root and its CAs, PEM or DER; looked at each minute."},
    {AT(crl_required), .type = SETTING_BOOL, .fallback = "false",
     .help = "Refuse the other side when a CA in its chain has no current revocation list."},
    {AT(local_subnets), .type = SETTING_TEXTS, .required = true, .note = "required",
     .help = "Own networks in the tunnel; the listener's address lies in one."},
    {AT(remote_subnets), .type = SETTING_TEXTS, .required = true, .note = "required",
     .help = "The other side's networks; its peers' addresses lie in them."},
    {AT(ike_proposals), .type = SETTING_TEXTS, .note = "the preset's",
     .help = "In strongSwan's words, as \"aes256gcm16-prfsha384-ecp384\"; best first."},
    {AT(esp_proposals), .type = SETTING_TEXTS, .note = "the preset's",
     .help = "Likewise, as \"aes256gcm16-ecp384\"; the group makes forward secrecy."},
    {AT(ike_lifetime_s), .type = SETTING_INT64, .note = "the preset's", .minimum = 60,
     .maximum = 7L * DAY_S, .help = "IKE keys live so long; renewed after nine tenths of it."},
    {AT(esp_lifetime_s), .type = SETTING_INT64, .note = "the preset's", .minimum = 60,
     .maximum = 7L * DAY_S, .help = "ESP keys likewise."},
    {AT(dpd_delay_s), .type = SETTING_INT64, .note = "the preset's", .maximum = 3600,
     .help =
         "After so much silence the other side is asked whether it lives; 0: never. How long an "
         "answer is waited for are charon's retransmissions: strongswan.conf."},
    {AT(keying_tries), .type = SETTING_INT, .fallback = "0", .maximum = 1000,
     .help = "Attempts to set it up before giving up; 0: for ever."},
    {AT(start), .type = SETTING_WORD, .fallback = "start", .words = WORDS("start", "trap", "none"),
     .help = "We set it up at once, when traffic wants through, or never (the other side does)."},
    {AT(mss), .type = SETTING_INT, .note = "the preset's", .maximum = 9000,
     .help = "TCP segments through the tunnel are clamped to it by the guards in deploy/; 0: not."},
    {AT(allow_weak), .type = SETTING_TEXTS, .note = "none",
     .help = "Weak words that proposals may use, each by name: [ \"modp1024\" ]."},
    {AT(pair), .type = SETTING_TEXT, .note = "none",
     .help = "The second tunnel to the same networks (AWS, Google HA); one of them up is enough."},
    {AT(grace_s), .type = SETTING_INT64, .fallback = "0", .maximum = DAY_S,
     .help = "Sessions stay so long after it went down; 0: closed at once."},
    {AT(ready), .type = SETTING_BOOL, .fallback = "false",
     .help = "Whether its being down makes /readyz say no."},
};
#undef OWNER
