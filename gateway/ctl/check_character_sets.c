/* mllpctl check: character sets that this system cannot convert from. */
#include "ctl/check.h"
#include "hl7/recode.h"

#include <stdio.h>

static bool check_is_converted(const struct config *config, const struct config_peer *peer)
{
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_listener *listener = &config->listeners[i];

        if (!config_listener_demand(config, listener).utf8)
            continue;
        for (size_t j = 0; j < listener->peers.count; j++)
            if (peer->name != NULL && strcmp(listener->peers.items[j], peer->name) == 0)
                return true;
    }
    return false;
}

void check_character_sets(const struct config *config, struct problems *problems)
{
    char setting[160];

    for (size_t i = 0; i < config->peer_count; i++) {
        const struct config_peer *peer = &config->peers[i];
        enum charset set = (enum charset)peer->character_set;

        if (set == CHARSET_NONE || recode_knows(set) || !check_is_converted(config, peer))
            continue;
        snprintf(setting, sizeof setting, "peers.%s.character_set", peer->name);
        problems_add(problems, PROBLEM_WARNING, peer->place, setting,
                     "this system cannot convert from \"%s\": its iconv has no %s (glibc's gconv "
                     "modules). Messages in it would be refused",
                     charset_name(set), charset_iconv(set));
    }
}
