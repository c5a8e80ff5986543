#include "vpn/tunnel.h"

#include "certs/validity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *tunnel_state_text(enum tunnel_state state)
{
    static const char *const words[] = {
        [TUNNEL_UNKNOWN] = "unknown",
        [TUNNEL_DOWN] = "down",
        [TUNNEL_CONNECTING] = "connecting",
        [TUNNEL_UP] = "up",
    };
    return words[state];
}

static const char *warning_words(enum tunnel_warning warning)
{
    switch (warning) {
    case TUNNEL_WARNS_IKE_CIPHER:
        return "the IKE SA's algorithms are not among ike_proposals";
    case TUNNEL_WARNS_ESP_CIPHER:
        return "a CHILD SA's algorithms are not among esp_proposals";
    case TUNNEL_WARNS_NARROWED:
        return "the other side narrowed the subnets: not all that is wanted goes through";
    case TUNNEL_WARNS_ONE_WAY:
        return "packets go out and none come in";
    case TUNNEL_WARNS_PEER_SILENT:
        return "the other side has not answered the last check yet";
    case TUNNEL_WARNS_FLAPPING:
        return "it went down several times within ten minutes";
    case TUNNEL_WARNS_CERTIFICATE:
        return "our certificate (or one above it) is valid until";
    case TUNNEL_WARNS_REMOTE_CA:
        return "a CA in remote_ca is valid until";
    case TUNNEL_WARNS_CRL:
        return "the revocation list is valid until";
    }
    return "";
}

static int64_t end_of_warning(const struct tunnel *tunnel, enum tunnel_warning warning)
{
    if (warning == TUNNEL_WARNS_CERTIFICATE)
        return tunnel->ends_s[TUNNEL_END_CERTIFICATE];
    if (warning == TUNNEL_WARNS_REMOTE_CA)
        return tunnel->ends_s[TUNNEL_END_REMOTE_CA];
    return warning == TUNNEL_WARNS_CRL ? tunnel->ends_s[TUNNEL_END_CRL] : SA_NOT_SAID;
}

void tunnel_warning_text(const struct tunnel *tunnel, enum tunnel_warning warning,
                         char ret_text[ALERT_TEXT_BYTES])
{
    time_t end = (time_t)end_of_warning(tunnel, warning);
    struct tm parts;

    snprintf(ret_text, ALERT_TEXT_BYTES, "%s", warning_words(warning));
    if (end == (time_t)SA_NOT_SAID || gmtime_r(&end, &parts) == NULL)
        return;
    snprintf(ret_text, ALERT_TEXT_BYTES, "%s %04d-%02d-%02d %02d:%02d UTC", warning_words(warning),
             parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min);
}

/* --- state -------------------------------------------------------------------------------- */

bool tunnel_is_carried(const struct tunnel *tunnel)
{
    for (size_t i = 0; i < tunnel->child_count; i++) {
        if (tunnel_child_counts(&tunnel->children[i]))
            return true;
    }
    return false;
}

static bool is_connecting(const struct tunnel *tunnel)
{
    for (size_t i = 0; i < tunnel->ike_count; i++) {
        const struct tunnel_ike *ike = &tunnel->ikes[i];
        if (ike->fate == TUNNEL_SA_ENDED || ike->stale)
            continue;
        if (ike->sa.state == SA_IKE_CREATED || ike->sa.state == SA_IKE_CONNECTING ||
            ike->sa.creates_child || ike->settling > 0)
            return true;
    }
    return false;
}

static enum tunnel_state state_of(struct tunnel *tunnel)
{
    if (tunnel_is_carried(tunnel)) {
        tunnel->heard = true;
        return TUNNEL_UP;
    }
    if (!tunnel->heard)
        return TUNNEL_UNKNOWN;
    return is_connecting(tunnel) ? TUNNEL_CONNECTING : TUNNEL_DOWN;
}

/* A flap is up, then not up; not to be heard of is none. */
static void enter(struct tunnel *tunnel, int64_t now_ms, enum tunnel_state state)
{
    if (state == TUNNEL_UP)
        tunnel_watch_answers(tunnel);
    else if (state != TUNNEL_UNKNOWN && tunnel->known == TUNNEL_UP)
        tunnel->flapped_ms[tunnel->flaps++ % TUNNEL_FLAPS] = now_ms;
    if (state != TUNNEL_UNKNOWN)
        tunnel->known = state;
    tunnel->state = state;
    tunnel->since_ms = now_ms;
}

/* --- warnings ----------------------------------------------------------------------------- */

static bool is_wanted(const char *cipher, const char *const *proposals, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (proposal_allows(proposals[i], cipher))
            return true;
    }
    return count == 0 || cipher[0] == '\0';
}

static unsigned warn_of_ciphers(const struct tunnel *tunnel)
{
    const struct tunnel_wanted *wanted = tunnel->wanted;
    const struct tunnel_ike *ike = tunnel_shown_ike(tunnel);
    unsigned warnings = 0;

    if (ike != NULL &&
        !is_wanted(ike->sa.cipher, wanted->ike_proposals, wanted->ike_proposal_count))
        warnings |= TUNNEL_WARNS_IKE_CIPHER;
    for (size_t i = 0; i < tunnel->child_count; i++) {
        if (tunnel_child_counts(&tunnel->children[i]) &&
            !is_wanted(tunnel->children[i].sa.cipher, wanted->esp_proposals,
                       wanted->esp_proposal_count))
            warnings |= TUNNEL_WARNS_ESP_CIPHER;
    }
    return warnings;
}

static bool is_one_way(const struct tunnel *tunnel, int64_t now_ms)
{
    return tunnel->packets_out - tunnel->packets_out_then >= TUNNEL_ONE_WAY_PACKETS &&
           now_ms - tunnel->unanswered_ms >= TUNNEL_ONE_WAY_MS;
}

static bool is_peer_silent(const struct tunnel *tunnel, int64_t now_ms)
{
    const struct tunnel_ike *ike = tunnel_shown_ike(tunnel);
    return ike != NULL && ike->sa.checks_peer && now_ms - ike->checked_ms >= TUNNEL_SILENT_MS;
}

static bool is_flapping(const struct tunnel *tunnel, int64_t now_ms)
{
    return tunnel->flaps >= TUNNEL_FLAPS &&
           now_ms - tunnel->flapped_ms[tunnel->flaps % TUNNEL_FLAPS] <= TUNNEL_FLAPS_MS;
}

static unsigned warnings_of(const struct tunnel *tunnel, int64_t now_ms)
{
    unsigned warnings =
        tunnel->end_warnings | (is_flapping(tunnel, now_ms) ? TUNNEL_WARNS_FLAPPING : 0);

    if (tunnel->state != TUNNEL_UP)
        return warnings;
    warnings |= warn_of_ciphers(tunnel);
    if (tunnel_is_narrowed(tunnel))
        warnings |= TUNNEL_WARNS_NARROWED;
    if (is_one_way(tunnel, now_ms))
        warnings |= TUNNEL_WARNS_ONE_WAY;
    if (is_peer_silent(tunnel, now_ms))
        warnings |= TUNNEL_WARNS_PEER_SILENT;
    return warnings;
}

/* A CRL is made to be replaced before its end: that it is near says nothing. */
void tunnel_judge_ends(struct tunnel *tunnel, int64_t wall_s)
{
    static const enum tunnel_warning warnings[] = {
        [TUNNEL_END_CERTIFICATE] = TUNNEL_WARNS_CERTIFICATE,
        [TUNNEL_END_REMOTE_CA] = TUNNEL_WARNS_REMOTE_CA,
        [TUNNEL_END_CRL] = TUNNEL_WARNS_CRL,
    };
    const int64_t soon_s = INT64_C(86400) * VALIDITY_SOON_DAYS;

    tunnel->end_warnings = 0;
    for (size_t i = 0; i < TUNNEL_ENDS; i++) {
        int64_t ahead_s = i == TUNNEL_END_CRL ? 0 : soon_s;
        if (tunnel->ends_s[i] != SA_NOT_SAID && tunnel->ends_s[i] - wall_s < ahead_s)
            tunnel->end_warnings |= warnings[i];
    }
}

/* --- attempts that come to nothing -------------------------------------------------------- */

/* Once for each time that it is being set up: what charon says of it, if anything, comes later. */
const char *tunnel_silence(struct tunnel *tunnel, int64_t now_ms, enum tunnel_state was,
                           int64_t was_since_ms, char ret_text[ALERT_TEXT_BYTES])
{
    bool connecting =
        tunnel->state == TUNNEL_CONNECTING && now_ms - tunnel->since_ms >= TUNNEL_UNANSWERED_MS;
    /* Shorter: ended from this side, without an event, because it changed. */
    bool ended = was == TUNNEL_CONNECTING && tunnel->state == TUNNEL_DOWN &&
                 now_ms - was_since_ms >= TUNNEL_TRIED_MS;
    bool answered = tunnel->tried_answered;
    char host[64];

    if ((!connecting && !ended) || tunnel->tried_host[0] == '\0' ||
        (tunnel->alert[0] != '\0' && tunnel->alert_ms >= was_since_ms))
        return NULL;
    snprintf(host, sizeof host, "%.63s", tunnel->tried_host);
    tunnel->tried_host[0] = '\0';
    snprintf(ret_text, ALERT_TEXT_BYTES,
             answered
                 ? "%s agreed on a proposal and is not heard since: is UDP 4500 open both ways?"
                 : "no answer from %s, UDP 500: wrong address, a firewall between, or it drops "
                   "what it does not know",
             host);
    return ret_text;
}

bool tunnel_judge(struct tunnel *tunnel, int64_t now_ms)
{
    enum tunnel_state state = state_of(tunnel);
    unsigned before = tunnel->warnings;
    bool changed = state != tunnel->state;

    if (changed)
        enter(tunnel, now_ms, state);
    tunnel->warnings = warnings_of(tunnel, now_ms);
    return changed || tunnel->warnings != before;
}
