/*
 * What the other side usually is, and what it takes: proposals, lifetimes, DPD, MSS.
 *
 * Each has first what is best of what such a peer can do. Lifetimes are the peer's own defaults: with
 * IKEv2 they are not negotiated, and whoever's end first renews. Sources: the vendors' documents of
 * supported proposals and defaults.
 */
#include "config/internal.h"

#define PROPOSALS 2
#define BEST_IKE "aes256gcm16-prfsha384-ecp384"
#define BEST_ESP "aes256gcm16-ecp384"
#define USUAL "aes256-sha256-modp2048"

struct preset {
    const char *ike[PROPOSALS + 1], *esp[PROPOSALS + 1];
    int64_t ike_lifetime_s, esp_lifetime_s, dpd_delay_s;
    int mss;
};

static const struct preset presets[] = {
    [CONFIG_PRESET_STRONGSWAN] = {{BEST_IKE, "aes128gcm16-prfsha256-ecp256"},
                                  {BEST_ESP, "aes128gcm16-ecp256"},
                                  14400,
                                  3600,
                                  30,
                                  1360},
    [CONFIG_PRESET_AWS] = {{BEST_IKE, USUAL}, {BEST_ESP, USUAL}, 28800, 3600, 30, 1379},
    /* One cipher for each role: with a choice Google's pick may change at every rekey. */
    [CONFIG_PRESET_GOOGLE] =
        {{"aes256gcm16-prfsha512-modp4096"}, {"aes256gcm16-modp4096"}, 36000, 10800, 30, 1360},
    /* A connection's policy there is one of each, too. */
    [CONFIG_PRESET_AZURE] = {{"aes256-sha384-ecp384"}, {BEST_ESP}, 28800, 27000, 45, 1350},
    [CONFIG_PRESET_FORTIGATE] = {{BEST_IKE, USUAL}, {BEST_ESP, USUAL}, 86400, 43200, 30, 1360},
    [CONFIG_PRESET_ASA] = {{BEST_IKE, USUAL}, {BEST_ESP, USUAL}, 86400, 28800, 30, 1360},
    /* GCM for IKE came late there (PAN-OS 10). */
    [CONFIG_PRESET_PALOALTO] =
        {{"aes256-sha384-ecp384", USUAL}, {BEST_ESP, USUAL}, 28800, 3600, 30, 1360},
};

static void fill(struct memory *memory, const char *const *from, struct config_strings *strings)
{
    struct config_strings filled = {.present = true};
    filled.items = memory_take(memory, (PROPOSALS + 1) * sizeof *filled.items);
    for (; filled.items && from[filled.count]; filled.count++) {
        filled.items[filled.count] = memory_text(memory, from[filled.count]);
    }
    *strings = filled;
}

static bool given(const struct config *config, const struct config_tunnel *tunnel, const char *key)
{
    return memory_place(config->memory, tunnel, key, WHOLE) != NULL;
}

void tunnel_preset_apply(struct config *config, struct config_tunnel *tunnel)
{
    const struct preset *preset = &presets[tunnel->preset];
    if (!given(config, tunnel, "ike_proposals")) {
        fill(config->memory, preset->ike, &tunnel->ike_proposals);
    }
    if (!given(config, tunnel, "esp_proposals")) {
        fill(config->memory, preset->esp, &tunnel->esp_proposals);
    }
    if (!given(config, tunnel, "ike_lifetime_s")) {
        tunnel->ike_lifetime_s = preset->ike_lifetime_s;
    }
    if (!given(config, tunnel, "esp_lifetime_s")) {
        tunnel->esp_lifetime_s = preset->esp_lifetime_s;
    }
    if (!given(config, tunnel, "dpd_delay_s")) {
        tunnel->dpd_delay_s = preset->dpd_delay_s;
    }
    if (!given(config, tunnel, "mss")) {
        tunnel->mss = preset->mss;
    }
}
